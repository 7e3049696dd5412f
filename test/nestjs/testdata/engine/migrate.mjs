// What `prisma migrate` does in the folder EXAMPLE, by Prisma's own engine for
// WebAssembly: an internal package, pinned exactly. Prints what it did as JSON.
//
//	node migrate.mjs deploy             applies what is pending
//	node migrate.mjs resolve MIGRATION  notes it as applied
//	node migrate.mjs status             what it thinks of the database
import { PrismaPg } from '@prisma/adapter-pg'
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils'
import fs from 'node:fs'
import path from 'node:path'
import * as engine from './node_modules/@prisma/schema-engine-wasm/schema_engine_bg.js'

const [command, migration] = process.argv.slice(2)
const prisma = path.join(process.env.EXAMPLE, 'prisma')
const migrations = path.join(prisma, 'migrations')

const wasm = new WebAssembly.Module(fs.readFileSync('node_modules/@prisma/schema-engine-wasm/schema_engine_bg.wasm'))
const instance = new WebAssembly.Instance(wasm, { [WebAssembly.Module.imports(wasm)[0].module]: engine })
engine.__wbg_set_wasm(instance.exports)
instance.exports.__wbindgen_start()

const read = (...parts) => fs.readFileSync(path.join(...parts), 'utf8')
const migrationsList = {
  baseDir: migrations,
  lockfile: { path: 'migration_lock.toml', content: read(migrations, 'migration_lock.toml') },
  shadowDbInitScript: '',
  migrationDirectories: fs.readdirSync(migrations, { withFileTypes: true }).filter((e) => e.isDirectory()).map(({ name }) => ({
    path: name,
    migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: read(migrations, name, 'migration.sql') } },
  })),
}
const filters = { externalTables: [], externalEnums: [] }
const run = {
  deploy: (e) => e.applyMigrations({ migrationsList, filters }),
  resolve: (e) => e.markMigrationApplied({ migrationName: migration, migrationsList }),
  status: (e) => e.diagnoseMigrationHistory({ migrationsList, filters, optInToShadowDatabase: false }),
}

const adapters = bindMigrationAwareSqlAdapterFactory(new PrismaPg({ connectionString: process.env.DATABASE_URL }))
const datamodels = [['schema.prisma', read(prisma, 'schema.prisma')]]
const e = await engine.SchemaEngine.new({ datamodels }, () => {}, adapters)
try {
  console.log(JSON.stringify((await run[command](e)) ?? {}))
} catch (err) {
  console.error(String(err?.message ?? err))
  process.exit(1)
}
process.exit(0)
