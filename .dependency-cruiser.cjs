/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'services-are-islands',
      comment: 'A service reaches another only through proto and the bus.',
      severity: 'error',
      from: { path: '^services/([^/]+)/' },
      to: { path: '^services/([^/]+)/', pathNot: '^services/$1/' },
    },
    {
      name: 'libs-know-no-service',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^(services|deploy|test)/', pathNot: '^test/fixtures/' },
    },
    {
      name: 'only-tests-use-fixtures',
      severity: 'error',
      from: { path: '^(libs|services)/[^/]+/src/', pathNot: '\\.test\\.ts$' },
      to: { path: '^test/' },
    },
    {
      name: 'one-bus',
      comment: 'Only libs/bus knows the NATS client.',
      severity: 'error',
      from: { pathNot: '^(libs/bus|test)/' },
      to: { path: 'node_modules/(nats|@nats-io)/' },
    },
    {
      name: 'domain-is-pure',
      comment:
        'An aggregate file decides and folds; it reads no clock, network, disk or environment.',
      severity: 'error',
      from: { path: '^services/[^/]+/src/([^/]+)/\\1\\.ts$' },
      to: {
        pathNot: [
          '^libs/(errors|eventing|ids|access)/',
          '^services/[^/]+/src/[^/]+/[^/]+-(policy|rule|rules)\\.ts$',
        ],
      },
    },
    {
      name: 'access-is-pure',
      severity: 'error',
      from: { path: '^libs/access/src/', pathNot: '\\.test\\.ts$' },
      to: { pathNot: ['^libs/(errors|access)/'] },
    },
    {
      name: 'generated-types-stop-at-the-edge',
      severity: 'error',
      from: {
        path: '^services/',
        pathNot: '((-rpc|-codec|-client|-projection|compose|main)(\\.test)?\\.ts$|/test/)',
      },
      to: { path: '^proto/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@postern/source', 'import', 'types', 'default'],
    },
  },
}
