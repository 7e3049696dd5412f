-- Logins that end, rest, or may look into the console.
ALTER TABLE dermaga.logins
  ADD console text CHECK (console IN ('stats', 'admin')),
  ADD expires_at timestamptz CHECK (isfinite(expires_at)),
  ADD disabled_at timestamptz,
  ADD CONSTRAINT logins_console CHECK (console IS NULL OR tenant_id IS NULL);  -- it shows all tenants
