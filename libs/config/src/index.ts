export { processEnvironment } from './config.ts'
export { Secret, secret, secretUrl } from './secret.ts'
export {
  type Environment,
  type ParseSettingsOptions,
  parseSettings,
  redacted,
  SettingsError,
  toSettingName,
} from './settings.ts'
