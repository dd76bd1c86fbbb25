import { homedir } from 'node:os'
import { join } from 'node:path'

const variables = process.env

/** What the environment says. POSTERN_CLI_CONFIG overrides where the sign-in is kept. */
export const environment = {
  configFile:
    variables['POSTERN_CLI_CONFIG'] ??
    join(variables['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'), 'postern', 'config.json'),
  /** For CI: a token and an address instead of `postern login`. */
  token: variables['POSTERN_CLI_TOKEN'],
  url: variables['POSTERN_CLI_URL'],
  caFile: variables['POSTERN_CLI_CA_FILE'],
}
