import { type MiddlewareConsumer, Module, type NestModule } from '@nestjs/common'
import { APP_FILTER } from '@nestjs/core'
import { AccountsController } from './accounts/accounts.controller.js'
import { BrokerErrors } from './broker-errors.filter.js'
import { HealthController } from './health/health.controller.js'
import { JournalController } from './journal/journal.controller.js'
import { TenantClients } from './tenancy/tenant-clients.js'
import { tenantPrisma } from './tenancy/tenant-prisma.service.js'
import { tenantMiddleware } from './tenancy/tenant.middleware.js'
import { UsersController } from './users/users.controller.js'

@Module({
  controllers: [HealthController, UsersController, AccountsController, JournalController],
  providers: [TenantClients, tenantPrisma, { provide: APP_FILTER, useClass: BrokerErrors }],
})
export class AppModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(tenantMiddleware).exclude('auth/login', 'auth/register', 'health', 'health/stats').forRoutes('*path')
  }
}
