import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from '@prisma/client'
import pg from 'pg'

const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  ssl: { ca: readFileSync(process.env.CA_FILE) }, // verify-full: authority and name
  max: 4,
})
let opened = 0
pool.on('connect', () => (opened += 1))

const prisma = new PrismaClient({
  adapter: new PrismaPg(pool, {
    // Without it no statement has a name, and each is parsed each time.
    statementNameGenerator: ({ sql }) => createHash('sha1').update(sql).digest('hex'),
    disposeExternalPool: true,
  }),
})

await prisma.$queryRaw`SELECT 1`
console.log('1 connected over TLS')

for (let i = 0; i < 10; i++) await prisma.accounts.findUnique({ where: { code: '1-1000' } })
console.log('2 prepared a statement, ran it several times: statementNameGenerator')

await prisma.$transaction([prisma.contacts.create({ data: { kind: 'CUSTOMER', name: 'prisma' } })])
await prisma
  .$transaction(async (tx) => {
    await tx.contacts.deleteMany({ where: { name: 'prisma' } })
    throw new Error('changed my mind')
  })
  .catch((err) => {
    if (err.message !== 'changed my mind') throw err
  })
const { count } = await prisma.contacts.deleteMany({ where: { name: 'prisma' } })
if (count !== 1) throw new Error(`${count} contacts instead of one`)
console.log('3 committed one transaction, rolled another back')

// Prisma has no streaming of its own: pages from a cursor of the server.
const streamed = await prisma.$transaction(
  async (tx) => {
    await tx.$executeRaw`DECLARE numbers NO SCROLL CURSOR FOR SELECT n, repeat('x', 1000) FROM generate_series(1, 100000) n`
    for (let rows = 0; ; ) {
      const page = await tx.$queryRaw`FETCH 1000 FROM numbers`
      if (page.length === 0) return rows
      rows += page.length
    }
  },
  { timeout: 60_000 }, // milliseconds; Prisma's default is five seconds
)
console.log(`4 streamed ${streamed} rows: DECLARE CURSOR`)

// Nor has it a cancel: PostgreSQL's own limit.
const before = opened
try {
  await prisma.$transaction([prisma.$executeRaw`SET LOCAL statement_timeout = '1s'`, prisma.$queryRaw`SELECT pg_sleep(60)::text`])
} catch (err) {
  if (!err.message.includes('57014')) throw err
}
await prisma.$queryRaw`SELECT 1`
if (opened !== before) throw new Error('the connection was lost')
console.log('5 cancelled, and the connection goes on: statement_timeout')

await prisma.$queryRaw`SELECT pg_terminate_backend(pg_backend_pid())`.catch((err) => {
  if (!err.message.includes('57P01')) throw err
})
await prisma.$queryRaw`SELECT 1`
console.log('6 reconnected after the session was ended: pg.Pool')

await prisma.$disconnect()
