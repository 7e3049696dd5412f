import { Body, Controller, Get, Post } from '@nestjs/common'
import { TenantPrismaService } from '../tenancy/tenant-prisma.service.js'

interface NewEntry {
  date: string // YYYY-MM-DD
  description: string
  lines: { account: string; debit?: string; credit?: string }[] // account's code; rupiah
}

@Controller(':tenantSlug/journal-entries')
export class JournalController {
  constructor(private readonly tenantPrisma: TenantPrismaService) {}

  @Get()
  list() {
    return this.tenantPrisma.journalEntry.findMany({
      orderBy: { id: 'asc' },
      include: { lines: { include: { account: true }, orderBy: { lineNo: 'asc' } } },
    })
  }

  // Posts an entry. Debit and credit are compared by the database at COMMIT.
  @Post()
  create(@Body() entry: NewEntry) {
    const entryDate = new Date(entry.date)
    return this.tenantPrisma.$transaction(async (tx) => {
      const period = await tx.period.findFirstOrThrow({
        where: { startsOn: { lte: entryDate }, endsOn: { gte: entryDate } },
      })
      const [next] = await tx.$queryRaw<{ number: string }[]>`
        INSERT INTO document_numbers AS n (prefix, fiscal_year_id, last_no) VALUES ('JU', ${period.fiscalYearId}, 1)
        ON CONFLICT (prefix, fiscal_year_id) DO UPDATE SET last_no = n.last_no + 1
        RETURNING prefix || '-' || fiscal_year_id || '-' || lpad(last_no::text, 5, '0') AS number`
      return tx.journalEntry.create({
        data: {
          number: next?.number,
          status: 'POSTED',
          entryDate,
          postedAt: new Date(),
          description: entry.description,
          period: { connect: { id: period.id } },
          lines: {
            create: entry.lines.map(({ account, debit, credit }, i) => ({
              lineNo: i + 1,
              debit,
              credit,
              account: { connect: { code: account } },
            })),
          },
        },
        include: { lines: true },
      })
    })
  }
}
