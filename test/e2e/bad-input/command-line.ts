import { createCli } from '@postern/bootstrap'
import { describe, expect, test } from 'vitest'
import { changesNothing } from '../support/changes-nothing.ts'
import type { E2eWorld } from '../support/e2e-world.ts'
import { words } from '../support/words.ts'

const USAGE = 2
const SIGNED_OUT = 3
const UNAVAILABLE = 4

/** Wrong usage, and wrong files, of the command line. */
export function commandLine(world: () => E2eWorld): void {
  describe('the command line', () => {
    const asNobody = (change: object) => {
      const { dir, platform, ca } = world()
      const signIn = { dir, name: 'nobody', url: platform.apiUrl, ca, token: '', ...change }
      return createCli(signIn)
    }

    test.each([
      { line: 'no-such-command', wanted: /unknown command 'no-such-command'/ },
      { line: 'user create', wanted: /missing required argument 'name'/ },
      { line: 'user create a b', wanted: /too many arguments/ },
      { line: 'user create a --root', wanted: /unknown option '--root'/ },
      { line: 'user list -o xml', wanted: /table, json, yaml/ },
      { line: 'group create a --platform-role god', wanted: /administrator or auditor/ },
      { line: 'grant create a --subject user:lead', wanted: /--role/ },
      {
        line: 'grant create a --subject user:lead --role developer --cluster-label env',
        wanted: /"env" is not key=value/,
      },
      { line: 'cluster create', wanted: /missing required argument/ },
      { line: 'token create --lifetime long', wanted: /not a time like 90s, 30m or 8h/ },
      { line: 'login --url http://127.0.0.1 --user lead', wanted: /https:/ },
      { line: 'completion tcsh', wanted: /bash, zsh, fish/ },
      { line: 'apply', wanted: /-f/ },
      { line: 'apply -f /no/such/file', wanted: /no such file/i },
    ])('"postern $line" is wrong usage, and says so', async ({ line, wanted }) => {
      const { code, stdout, stderr } = await changesNothing(world(), () =>
        world().postern.run(words(line)),
      )
      expect(stderr).toMatch(wanted)
      expect(code).toBe(USAGE)
      expect(stdout).toBe('')
    })

    test.each([
      { name: 'broken YAML', file: 'kind: Role\n  name: x\n: [', wanted: /document 1/ },
      { name: 'a text', file: 'just a text', wanted: /document 1 is not an object/ },
      {
        name: 'another kind',
        file: 'kind: ClusterRole\nname: x\n',
        wanted: /kind is Role or Grant/,
      },
      { name: 'no name', file: 'kind: Role\nrules: []\n', wanted: /a Role needs a name/ },
      {
        name: 'a field that is none',
        file: 'kind: Role\nname: x\nruels: []\n',
        wanted: /a Role has no field "ruels"/,
      },
      { name: 'a key twice', file: 'kind: Role\nname: x\nname: y\n', wanted: /unique/i },
      {
        name: 'the same twice',
        file: 'kind: Role\nname: x\n---\nkind: Role\nname: x\n',
        wanted: /the file has Role x twice/,
      },
      {
        name: 'aliases that multiply',
        file: `kind: Role\nname: x\nrules:\n  - &a [x, x, x]\n  - &b [*a, *a, *a]\n  - [*b, *b, *b]\n`,
        wanted: /alias/i,
      },
    ])('a policy file with $name is refused whole', async ({ file, wanted }) => {
      const { code, stderr } = await changesNothing(world(), () =>
        world().postern.run(['apply', '-f', '-'], file),
      )
      expect(stderr).toMatch(wanted)
      expect(code).toBe(USAGE)
    })

    test('a policy file that the rules refuse is refused with the rule', async () => {
      const role = (rules: string) => `kind: Role\nname: from-a-file\nrules: ${rules}\n`
      await changesNothing(world(), async () => {
        for (const [file, wanted] of [
          [role('[]'), /1 to 100 rules/],
          [
            role('[{verbs: [get], apiGroups: [""], resources: ["pods/*"]}]'),
            /name each subresource/,
          ],
          [role('[{verbs: get, apiGroups: [""], resources: [pods]}]'), /verbs/],
          [
            'kind: Grant\nname: g\nterms: {subjects: ["user:lead"], role: no-such-role, clusters: [alpha], namespaces: {all: true}}\n',
            /role/,
          ],
        ] as const) {
          const { code, stderr } = await world().postern.run(['apply', '-f', '-'], file)
          expect(stderr).toMatch(wanted)
          expect(code).toBe(1)
        }
      })
    })

    test('a file whose last document is refused has said what was done before it', async () => {
      const file = [
        'kind: Role\nname: half\nrules: [{verbs: [get], apiGroups: [""], resources: [pods]}]\n',
        'kind: Grant\nname: other-half\nterms: {subjects: ["user:nobody"], role: half, clusters: [alpha], namespaces: {all: true}}\n',
      ].join('---\n')
      const first = await world().postern.run(['apply', '-f', '-'], file)
      expect(first.code).toBe(1)
      expect(first.stdout).toMatch(/\+ Role half/)
      expect(first.stderr).toMatch(/user/)
      const grants = await world().postern.ok(['grant', 'list'])
      expect(grants).not.toContain('other-half')
      await world().postern.ok(['role', 'delete', 'half'])
    })

    test('without a sign-in, with a made-up one, and without Postern each says what to do', async () => {
      await changesNothing(world(), async () => {
        const nobody = await asNobody({ name: 'nobody' }).run(['user', 'list'])
        expect(nobody).toMatchObject({ code: SIGNED_OUT, stdout: '' })
        expect(nobody.stderr).toMatch(/sign in/)
        const forged = { name: 'forger', token: `ptk_${'A'.repeat(43)}` }
        const forger = await asNobody(forged).run(['user', 'create', 'x'])
        expect(forger).toMatchObject({ code: SIGNED_OUT, stdout: '' })
        const lost = await asNobody({ name: 'lost', url: 'https://127.0.0.1:1' }).run(['whoami'])
        expect(lost).toMatchObject({ code: UNAVAILABLE, stdout: '' })
        expect(lost.stderr).toMatch(/cannot be reached at https:\/\/127\.0\.0\.1:1/)
        const other = await asNobody({ name: 'other', ca: '' }).run(['whoami'])
        expect(other.code).not.toBe(0)
        expect(other.stderr).not.toBe('')
      })
    })

    test('a user without permission is refused by the same commands', async () => {
      const { secret } = await world().token('lead')
      const lead = asNobody({ name: 'lead', token: secret })
      await changesNothing(world(), async () => {
        for (const args of [
          ['user', 'create', 'x'],
          ['group', 'add', 'administrators', 'lead'],
          ['grant', 'delete', 'developers-everywhere'],
          ['cluster', 'join', 'alpha'],
          ['rebuild'],
        ]) {
          const { code, stderr } = await lead.run(args)
          expect({ args, code }).toEqual({ args, code: 1 })
          expect(stderr).toMatch(/permission/)
        }
      })
    })
  })
}
