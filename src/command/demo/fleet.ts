// The sample services of the demo: a catalog in two instances, and orders.
import { MessageError, startHost, type Host, type Message } from './host.ts'
import type { Dto } from './formats.ts'

const products: Readonly<Record<string, { name: string, price: number }>> = {
  1: { name: 'Lantern', price: 19.9 },
  2: { name: 'Rope, 20 m', price: 34.5 },
  3: { name: 'Compass', price: 12 }
}

const text = (dto: Dto, name: string): string => {
  const value = Object.entries(dto).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1]
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

function findProduct (id: string, field: string): { id: number, name: string, price: number } {
  const product = Object.hasOwn(products, id) ? products[id] : undefined
  if (product === undefined) throw new MessageError(404, 'NotFound', `There is no product ${id === '' ? 'without a number' : id}.`, field)
  return { id: Number(id), ...product }
}

const catalog: Readonly<Record<string, Message>> = {
  GetProduct: { actions: ['GET', 'POST'], answer: (dto, instance) => ({ ...findProduct(text(dto, 'id'), 'Id'), instance }) },
  FindProducts: { actions: ['ANY'], answer: (_, instance) => ({ products: Object.keys(products).map(id => findProduct(id, 'Id')), instance }) },
  // Registered like the others, and hidden by the gateway because its service restricts it.
  RebuildIndex: { actions: ['POST'], internal: true, answer: () => ({ rebuilt: true }) }
}

function createOrders (): Readonly<Record<string, Message>> {
  let last = 0
  return {
    PlaceOrder: {
      actions: ['POST', 'PUT'],
      answer: dto => {
        const customer = text(dto, 'customer')
        const quantity = Number(text(dto, 'quantity') || '1')
        if (customer === '') throw new MessageError(400, 'NotEmpty', "'Customer' must not be empty.", 'Customer')
        if (!Number.isInteger(quantity) || quantity < 1) throw new MessageError(400, 'GreaterThan', "'Quantity' must be greater than '0'.", 'Quantity')
        const product = findProduct(text(dto, 'productId'), 'ProductId')
        return { orderId: ++last, customer, product: product.name, total: Math.round(product.price * quantity * 100) / 100 }
      }
    }
  }
}

export interface Fleet {
  /** Deregisters and stops them all. */
  close (): Promise<void>
}

/** Starts the services and registers them in a registry that speaks Consul's HTTP API. */
export async function startFleet (registry: string): Promise<Fleet> {
  const hosts: Host[] = []
  const close = async () => { await Promise.all(hosts.map(host => host.close())) }
  try {
    hosts.push(await startHost({ service: 'Catalog', instance: 'catalog-1', messages: catalog, registry }))
    hosts.push(await startHost({ service: 'Catalog', instance: 'catalog-2', messages: catalog, registry }))
    hosts.push(await startHost({ service: 'Orders', instance: 'orders-1', messages: createOrders(), registry }))
    return { close }
  } catch (error) {
    await close()
    throw error
  }
}
