// What an application does with Prisma 7. Prints what it saw as JSON.
// SOURCE marks the entries of this run.
import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from '@prisma/client'

const { DATABASE_URL: connectionString, SOURCE: source } = process.env
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString }) })
const saw = {}

saw.owner = (await prisma.contacts.findMany({ where: { kind: 'OTHER' } })).map((c) => c.name)
saw.accounts = await prisma.accounts.findMany({ orderBy: { code: 'asc' }, take: 5, select: { code: true, name_id: true } })
saw.assets = await prisma.accounts.count({ where: { type: 'ASSET', is_postable: true } })

const debtors = await prisma.accounts.findUniqueOrThrow({ where: { code: '1-1300' } })
const sales = await prisma.accounts.findUniqueOrThrow({ where: { code: '4-1000' } })
const [period] = await prisma.$queryRaw`SELECT id, starts_on FROM periods ORDER BY starts_on LIMIT 1`

const entry = (db, description) =>
  db.journal_entries.create({
    data: {
      entry_date: period.starts_on,
      period_id: period.id,
      description,
      source,
      lines: {
        create: [
          { line_no: 1, account_id: debtors.id, debit: '1110000.00' },
          { line_no: 2, account_id: sales.id, credit: '1110000.00' },
        ],
      },
    },
    include: { lines: { include: { account: true }, orderBy: { line_no: 'asc' } } },
  })

const mine = { where: { source } }
const kept = await entry(prisma, 'kept')
saw.lines = kept.lines.map((l) => [l.account.code, l.debit.toFixed(2), l.credit.toFixed(2)])
saw.interactive = await prisma.$transaction(async (tx) => {
  await entry(tx, 'kept as well')
  return tx.journal_entries.count(mine)
})
saw.rolledBack = await prisma
  .$transaction(async (tx) => {
    await entry(tx, 'never seen')
    throw new Error('changed my mind')
  })
  .catch((err) => err.message)
saw.kept = await prisma.journal_entries.count(mine)

saw.refused = await prisma.accounts
  .create({ data: { code: debtors.code, name_id: 'x', name_en: 'x', type: 'ASSET', normal_side: 'D' } })
  .catch((err) => err.code)

// More queries at once than the adapter's pool has connections.
const names = await Promise.all(Array.from({ length: 40 }, (_, i) => prisma.accounts.findFirst({ orderBy: { code: 'asc' }, skip: i % 5 })))
saw.atOnce = names.map((a) => a.code)

await prisma.$disconnect()
console.log(JSON.stringify(saw))
