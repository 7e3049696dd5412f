import { readFileSync } from 'node:fs'
import pg from 'pg'
import QueryStream from 'pg-query-stream'

const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  ssl: { ca: readFileSync(process.env.CA_FILE) }, // verify-full: authority and name
  max: 4,
  statement_timeout: 20_000, // in PostgreSQL. query_timeout would leave the query running there
})
pool.on('error', () => {}) // an idle connection was lost: the pool makes another

const client = await pool.connect()
console.log('1 connected over TLS')

for (let i = 0; i < 10; i++) {
  await client.query({ name: 'account', text: 'SELECT name_id FROM accounts WHERE code = $1', values: ['1-1000'] })
}
console.log('2 prepared a statement, ran it several times: name')

await client.query('BEGIN')
await client.query("INSERT INTO contacts (kind, name) VALUES ('CUSTOMER', $1)", ['pg'])
await client.query('COMMIT')
await client.query('BEGIN')
await client.query('DELETE FROM contacts WHERE name = $1', ['pg'])
await client.query('ROLLBACK')
const { rowCount } = await client.query('DELETE FROM contacts WHERE name = $1', ['pg'])
if (rowCount !== 1) throw new Error(`${rowCount} contacts instead of one`)
console.log('3 committed one transaction, rolled another back')

let rows = 0
const stream = new QueryStream("SELECT n, repeat('x', 1000) FROM generate_series(1, 100000) n", [], { batchSize: 1000 })
for await (const row of client.query(stream)) rows += 1
console.log(`4 streamed ${rows} rows: pg-query-stream`)

await client.query("SET statement_timeout = '1s'")
try {
  await client.query('SELECT pg_sleep(60)')
} catch (err) {
  if (err.code !== '57014') throw err
  await client.query('RESET statement_timeout') // the 20 s of the pool again
  console.log('5 cancelled, and the connection goes on: statement_timeout')
}
client.release()

await pool.query('SELECT pg_terminate_backend(pg_backend_pid())').catch((err) => {
  if (err.code !== '57P01') throw err
})
await pool.query('SELECT 1')
console.log('6 reconnected after the session was ended: Pool')

await pool.end()
