import { messageOf } from '@postern/errors'
import { buildGoProgram } from '@postern/local-servers'
import { environment } from '../config.ts'
import { MissingToolError } from '../tool.ts'

/** The file of a program in Go, built where that was not done before. @throws MissingToolError */
export async function goProgram(
  program: Pick<
    Parameters<typeof buildGoProgram>[0],
    'name' | 'sourceDir' | 'modFile' | 'variables'
  >,
): Promise<string> {
  const { path, toolsDir } = environment
  try {
    const { file } = await buildGoProgram({ ...program, path, toolsDir })
    return file
  } catch (error) {
    throw new MissingToolError(messageOf(error), { cause: error })
  }
}
