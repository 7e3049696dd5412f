import { NotFoundException } from '@nestjs/common'
import type { NextFunction, Request, Response } from 'express'

// Takes the tenant from /:tenantSlug/... . Whether there is one, the broker says.
export function tenantMiddleware(request: Request & { tenantSlug?: string }, _: Response, next: NextFunction): void {
  const slug = request.originalUrl.split(/[/?]/)[1] ?? ''
  if (slug.length > 49 || !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(slug)) throw new NotFoundException('no such tenant')
  request.tenantSlug = slug
  next()
}
