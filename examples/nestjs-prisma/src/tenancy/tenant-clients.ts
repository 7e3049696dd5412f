import { Injectable, type OnModuleDestroy } from '@nestjs/common'
import { PrismaPg } from '@prisma/adapter-pg'
import { LRUCache } from 'lru-cache'
import { PrismaClient } from '../generated/prisma/client.js'

// One client for each tenant in use. One that is put aside while a request still
// has it connects again by itself, and idle connections close after ten seconds.
@Injectable()
export class TenantClients implements OnModuleDestroy {
  private readonly clients = new LRUCache<string, PrismaClient>({
    max: Number(process.env.MAX_CONNECTIONS ?? 50),
    ttl: 30 * 60_000, // milliseconds
    updateAgeOnGet: true,
    memoMethod: (slug) => {
      const url = new URL(process.env.DATABASE_URL ?? '')
      url.pathname = slug
      return new PrismaClient({ adapter: new PrismaPg({ connectionString: url.href }) })
    },
    dispose: (client) => void client.$disconnect(),
  })

  get(slug: string): PrismaClient {
    return this.clients.memo(slug)
  }

  onModuleDestroy(): void {
    this.clients.clear()
  }

  getStats() {
    const tenants = [...this.clients.keys()]
    return { activeConnections: tenants.length, maxConnections: this.clients.max, tenants }
  }
}
