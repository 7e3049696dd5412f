import { readFileSync } from 'node:fs'
import postgres from 'postgres'

const sql = postgres(process.env.DATABASE_URL, {
  ssl: { ca: readFileSync(process.env.CA_FILE) }, // verify-full: authority and name
  max: 4,
})

await sql`SELECT 1`
console.log('1 connected over TLS')

for (let i = 0; i < 10; i++) await sql`SELECT name_id FROM accounts WHERE code = ${'1-1000'}`
console.log('2 prepared a statement, ran it several times: by default')

await sql.begin((tx) => tx`INSERT INTO contacts (kind, name) VALUES ('CUSTOMER', 'postgres.js')`)
await sql
  .begin(async (tx) => {
    await tx`DELETE FROM contacts WHERE name = 'postgres.js'`
    throw new Error('changed my mind')
  })
  .catch(() => {})
const deleted = await sql`DELETE FROM contacts WHERE name = 'postgres.js'`
if (deleted.count !== 1) throw new Error(`${deleted.count} contacts instead of one`)
console.log('3 committed one transaction, rolled another back')

let count = 0
for await (const rows of sql`SELECT n, repeat('x', 1000) FROM generate_series(1, 100000) n`.cursor(1000)) count += rows.length
console.log(`4 streamed ${count} rows: cursor`)

const connection = await sql.reserve()
const asleep = connection`SELECT pg_sleep(60)`
setTimeout(() => asleep.cancel(), 1000)
try {
  await asleep
} catch (err) {
  if (err.code !== '57014') throw err
  await connection`SELECT 1`
  console.log('5 cancelled, and the connection goes on: cancel')
}
connection.release()

// postgres.js does not tell the code of an error that ends the connection (57P01).
await sql`SELECT pg_terminate_backend(pg_backend_pid())`.catch((err) => {
  if (err.code !== 'CONNECTION_CLOSED') throw err
})
await sql`SELECT 1`
console.log('6 reconnected after the session was ended: by itself')

await sql.end({ timeout: 1 }) // seconds; without it, end waits for ever for a connection that was lost
