DROP TABLE dermaga.instances;
DROP FUNCTION dermaga.announce() CASCADE;               -- and its triggers
DROP TABLE dermaga.changes;
