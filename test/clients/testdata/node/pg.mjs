// What an application does with node-postgres. Prints what it saw as JSON.
// SOURCE marks the entries of this run.
import pg from 'pg'

const { DATABASE_URL: connectionString, SOURCE: source } = process.env
const saw = {}

const pool = new pg.Pool({ connectionString, max: 4 })

saw.owner = (await pool.query("SELECT name FROM contacts WHERE kind = 'OTHER'")).rows.map((r) => r.name)
saw.accounts = (await pool.query('SELECT code, name_id FROM accounts ORDER BY code LIMIT 5')).rows

// Parameters and types: the extended protocol, without a name.
saw.types = (
  await pool.query('SELECT $1::numeric(20,2) AS money, $2::date::text AS day, $3::jsonb AS doc, $4::text[] AS list, $5::bytea AS raw', [
    '1110000.00', '2026-11-24', { lines: [1, 2] }, ['a', 'b"c', null], Buffer.from([0, 1, 255]),
  ])
).rows

// A named statement, prepared once per connection and used by all of them at once.
const byCode = { name: 'account by code', text: 'SELECT name_id FROM accounts WHERE code = $1' }
const codes = Array.from({ length: 40 }, (_, i) => saw.accounts[i % 5].code)
saw.prepared = (await Promise.all(codes.map((code) => pool.query({ ...byCode, values: [code] })))).map((r) => r.rows[0].name_id)

// An entry that balances is kept, one that does not is refused at COMMIT.
const post = async (debit, credit, finish) => {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const { rows } = await client.query(
      "INSERT INTO journal_entries (entry_date, period_id, description, source) SELECT starts_on, id, 'sale', $1 FROM periods ORDER BY starts_on LIMIT 1 RETURNING id",
      [source],
    )
    const line = "INSERT INTO journal_lines (entry_id, line_no, account_id, debit, credit) SELECT $1, $2, id, $3, $4 FROM accounts WHERE code = $5"
    await client.query(line, [rows[0].id, 1, debit, 0, '1-1300'])
    await client.query(line, [rows[0].id, 2, 0, credit, '4-1000'])
    await client.query("UPDATE journal_entries SET status = 'POSTED', posted_at = now(), number = 'N' || id WHERE id = $1", [rows[0].id])
    await client.query(finish)
    return 'posted'
  } catch (err) {
    await client.query('ROLLBACK')
    return err.code
  } finally {
    client.release()
  }
}
saw.balanced = await post('1110000.00', '1110000.00', 'COMMIT')
saw.unbalanced = await post('1110000.00', '1', 'COMMIT')
await post('5.00', '5.00', 'ROLLBACK')
saw.kept = (await pool.query('SELECT count(*) FROM journal_entries WHERE source = $1', [source])).rows

// An error ends the statement, not the connection.
const client = await pool.connect()
saw.errors = []
for (const text of ['SELECT * FROM no_such_table', 'SELECT 1 / 0', 'SELEC 1']) {
  saw.errors.push(await client.query(text).then(() => 'no error', (err) => err.code))
}

// Session state belongs to its session.
await client.query("SET TIME ZONE 'Asia/Jakarta'")
await client.query('CREATE TEMP TABLE basket (n int)')
await client.query('INSERT INTO basket SELECT generate_series(1, 3)')
await client.query('LISTEN till')
const heard = new Promise((resolve) => client.once('notification', (n) => resolve(n.payload)))
await pool.query("SELECT pg_notify('till', 'closed')")
saw.heard = await heard
saw.zone = (await client.query('SHOW TIME ZONE')).rows
saw.basket = (await client.query('SELECT sum(n)::int AS sum FROM basket')).rows
client.release()

await pool.end()
console.log(JSON.stringify(saw))
