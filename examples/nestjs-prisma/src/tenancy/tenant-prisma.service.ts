import { type FactoryProvider, Scope } from '@nestjs/common'
import { REQUEST } from '@nestjs/core'
import { PrismaClient } from '../generated/prisma/client.js'
import { TenantClients } from './tenant-clients.js'

// What controllers ask for: the client of the request's tenant.
export abstract class TenantPrismaService extends PrismaClient {}

export const tenantPrisma: FactoryProvider = {
  provide: TenantPrismaService,
  scope: Scope.REQUEST,
  inject: [REQUEST, TenantClients],
  useFactory: (request: { tenantSlug: string }, clients: TenantClients) => clients.get(request.tenantSlug),
}
