import { Controller, Get } from '@nestjs/common'
import { TenantClients } from '../tenancy/tenant-clients.js'

@Controller('health')
export class HealthController {
  constructor(private readonly clients: TenantClients) {}

  @Get()
  health() {
    return { status: 'ok' }
  }

  // Names tenants: an application that is reachable from outside guards it.
  @Get('stats')
  stats() {
    return this.clients.getStats()
  }
}
