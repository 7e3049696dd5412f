ALTER TABLE dermaga.tenants DROP CONSTRAINT tenants_min_pool_size, DROP purge_after;
ALTER TABLE dermaga.plans DROP weight;
