// ServiceStack's own TypeScript client through Postern, unchanged. Start `npx postern demo` first.
//
//   npx node examples/client.ts http://127.0.0.1:8080
import { JsonServiceClient } from '@servicestack/client'

// In a real project these come from the service: `npx @servicestack/cli typescript URL`.
class Product { id = 0; name = ''; price = 0; instance = '' }
class GetProduct {
  id: number
  constructor (id: number) { this.id = id }
  createResponse (): Product { return new Product() }
  getTypeName (): string { return 'GetProduct' }
  getMethod (): string { return 'GET' }
}
class PlaceOrder {
  productId: number
  constructor (productId: number) { this.productId = productId }
  createResponse (): { orderId: number } { return { orderId: 0 } }
  getTypeName (): string { return 'PlaceOrder' }
  getMethod (): string { return 'POST' }
}

const client = new JsonServiceClient(process.argv[2] ?? 'http://127.0.0.1:8080')
console.log(await client.api(new GetProduct(1)).then(api => api.response))

const { error } = await client.api(new PlaceOrder(2))
console.log(error?.errorCode, error?.message, error?.errors)
