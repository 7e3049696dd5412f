import { type ArgumentsHost, BadRequestException, Catch, HttpException, HttpStatus } from '@nestjs/common'
import { BaseExceptionFilter } from '@nestjs/core'
import type { Response } from 'express'
import { Prisma } from './generated/prisma/client.js'

// What the broker or the database said, as @prisma/adapter-pg passes it on: in
// meta of Prisma's error, or by itself where the COMMIT failed.
interface Cause {
  kind: string
  originalCode?: string // SQLSTATE; absent: there was no answer
  originalMessage?: string
}

function causeOf(exception: unknown): Cause | undefined {
  const error = exception as { cause?: Cause; meta?: { driverAdapterError?: { cause?: Cause } } } | undefined
  const cause = error?.meta?.driverAdapterError?.cause ?? error?.cause
  return typeof cause?.kind === 'string' ? cause : undefined
}

function statusOf({ kind, originalCode: code = '', originalMessage: message = '' }: Cause): HttpStatus | undefined {
  if (code === '3D000') return HttpStatus.NOT_FOUND // no such tenant, for this login
  if (code === '53300') return HttpStatus.TOO_MANY_REQUESTS // clients, or nothing free in time
  if (/^tenant ".*" is suspended$/.test(message)) return HttpStatus.LOCKED
  if (code === '57P03' || code === '57P01' || code === '08006') return HttpStatus.SERVICE_UNAVAILABLE // provisioned, migrated, drained
  if (['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout'].includes(kind)) return HttpStatus.SERVICE_UNAVAILABLE
  if (code === '23505') return HttpStatus.CONFLICT
  if (code.startsWith('23')) return HttpStatus.UNPROCESSABLE_ENTITY // the database's own rules
  return undefined
}

@Catch()
export class BrokerErrors extends BaseExceptionFilter {
  override catch(exception: unknown, host: ArgumentsHost): void {
    if (exception instanceof Prisma.PrismaClientValidationError) {
      return super.catch(new BadRequestException('the body does not have what this takes'), host)
    }
    const cause = causeOf(exception)
    const status = cause && statusOf(cause)
    if (!status) return super.catch(exception, host)
    if (status === HttpStatus.TOO_MANY_REQUESTS || status === HttpStatus.SERVICE_UNAVAILABLE) {
      host.switchToHttp().getResponse<Response>().setHeader('Retry-After', '1') // seconds
    }
    super.catch(new HttpException({ statusCode: status, message: cause.originalMessage ?? cause.kind }, status), host)
  }
}
