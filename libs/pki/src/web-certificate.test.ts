import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { certificatesFromPem } from './pem.ts'
import { createWebCertificate } from './web-certificate.ts'

test('a web certificate holds for its names, its addresses and its time, under its own authority', async () => {
  const now = new Date('2026-01-01T00:00:00Z')
  const names = {
    dnsNames: ['localhost', '*.postern.localhost'],
    ipAddresses: ['127.0.0.1', '::1'],
  }
  const { cert, ca } = await createWebCertificate({ ...names, now, lifeDays: 30 })
  const leaf = new X509Certificate(certificatesFromPem(cert)[0] ?? '')
  const authority = new X509Certificate(ca)
  expect(leaf.verify(authority.publicKey)).toBe(true)
  expect(leaf.ca).toBe(false)
  expect(leaf.checkHost('prod.postern.localhost')).toBe('*.postern.localhost')
  expect(leaf.checkHost('postern.localhost')).toBeUndefined()
  expect(leaf.checkIP('127.0.0.1')).toBe('127.0.0.1')
  expect(leaf.checkIP('127.0.0.2')).toBeUndefined()
  expect(new Date(leaf.validTo)).toEqual(new Date('2026-01-31T00:00:00Z'))
})
