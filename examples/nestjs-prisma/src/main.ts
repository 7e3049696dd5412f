import 'reflect-metadata'
import { NestFactory } from '@nestjs/core'
import { AppModule } from './app.module.js'

if (!URL.canParse(process.env.DATABASE_URL ?? '')) {
  throw new Error('DATABASE_URL is no URL: give postgresql://login:password@broker:6432/')
}

// Ids are bigint in the database; JSON has no such number.
Object.defineProperty(BigInt.prototype, 'toJSON', {
  value(this: bigint) {
    return this.toString()
  },
})

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] })
app.enableShutdownHooks()
await app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1')
console.log(`listening on ${await app.getUrl()}`)
