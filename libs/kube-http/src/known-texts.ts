/**
 * Looks once at texts that come again and again. However many there are, and however long: so many are
 * remembered, and longer ones are looked at each time.
 */
export function rememberTexts<Known>(
  lookAt: (text: string) => Known,
  bounds: { readonly textsMax: number; readonly charactersMax: number },
): (text: string) => Known {
  const known = new Map<string, Known>()
  return (text) => {
    const found = known.get(text)
    if (found !== undefined) return found
    if (text.length > bounds.charactersMax) return lookAt(text)
    // A copy: a part of a text would hold on to the whole of it.
    const copy = Buffer.from(text, 'utf8').toString('utf8')
    const made = lookAt(copy)
    if (known.size >= bounds.textsMax) known.clear()
    known.set(copy, made)
    return made
  }
}
