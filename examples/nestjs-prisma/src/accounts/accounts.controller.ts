import { Body, Controller, Get, NotFoundException, Param, Post } from '@nestjs/common'
import { TenantPrismaService } from '../tenancy/tenant-prisma.service.js'

@Controller(':tenantSlug/accounts')
export class AccountsController {
  constructor(private readonly tenantPrisma: TenantPrismaService) {}

  @Get()
  list() {
    return this.tenantPrisma.account.findMany({ where: { active: true }, orderBy: { code: 'asc' } })
  }

  @Get(':code')
  async show(@Param('code') code: string) {
    const account = await this.tenantPrisma.account.findUnique({ where: { code } })
    if (!account) throw new NotFoundException(`there is no account ${code}`)
    return account
  }

  // Notes are this application's own table: prisma/migrations made it.
  @Get(':code/notes')
  notes(@Param('code') code: string) {
    return this.tenantPrisma.note.findMany({ where: { account: { code } }, orderBy: { id: 'asc' } })
  }

  @Post(':code/notes')
  note(@Param('code') code: string, @Body() { text }: { text: string }) {
    return this.tenantPrisma.note.create({ data: { text, account: { connect: { code } } } })
  }
}
