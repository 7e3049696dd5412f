import { Body, Controller, Get, Post } from '@nestjs/common'
import { TenantPrismaService } from '../tenancy/tenant-prisma.service.js'

@Controller(':tenantSlug/users')
export class UsersController {
  constructor(private readonly tenantPrisma: TenantPrismaService) {}

  @Get()
  list() {
    return this.tenantPrisma.user.findMany({ orderBy: { email: 'asc' } })
  }

  @Post()
  create(@Body() { email, name }: { email: string; name: string }) {
    return this.tenantPrisma.user.create({ data: { email, name } })
  }
}
