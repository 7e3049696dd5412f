import { defineConfig } from 'prisma/config'

// For `prisma migrate` only: the application finds its databases by itself.
// DATABASE_URL is then the URL of a tenant's login with the role owner.
export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: {
    url: process.env.DATABASE_URL ?? '',
    shadowDatabaseUrl: process.env.SHADOW_DATABASE_URL,
  },
  experimental: { externalTables: true },
  tables: {
    // Dermaga's own: migrate dev must not drop them because no model names them.
    external: [
      'schema_migrations', 'company', 'account_roles', 'fiscal_years', 'taxes', 'tax_rates', 'contacts',
      'document_numbers', 'attachments', 'account_balances', 'audit_log', 'bank_accounts', 'bank_lines',
    ].map((table) => `public.${table}`),
  },
})
