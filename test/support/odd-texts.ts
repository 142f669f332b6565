/** Texts that tokenizers stumble over, drawn alike by test/golden/smollm2.py. */

// biome-ignore format: a table
const pieces = [
  "the", " a", "Genre", ": ", "Drama", ", ", "don't", "I'LL", "we'Ve", "’s", " 'd", "hello",
  "WORLD", " of", "ing", "naïve", " café", "cafe\u{301}", "Å", "A\u{30a}", "0", "7", "12", "345",
  " 1984", "3.14", "1,000", "½", "٣٤", "Ⅷ", "²", "१२", "𝟘", "①", " ", "  ",
  "   ", "\t", "\n", "\n\n", "\r\n", "\r", "\u{a0}", "\u{2003}", "\u{3000}", "\u{85}", "\u{2028}", "\u{feff}",
  "\u{200b}", "\u{180e}", "\u{1c}", "\u{1f}", "\u{0}", "\u{1}", "\u{4}", "\u{7}", "\u{8}", "\u{b}", "\u{c}", "\u{1b}",
  "\u{7f}", "\u{80}", "\u{9f}", "\u{ad}", "東京", "中文字符", "日本語のテスト", "한국어", "각", "ありがとう", "カタカナ", "العربية",
  "עברית", "हिन्दी", "ไทย", "Ελληνικά", "Русский", "ქართული", "አማርኛ", "Türkçe İı", "ßẞ", "ǅ", "ﬁ", "🎬",
  "👩\u{200d}👩\u{200d}👧\u{200d}👦", "🇩🇪", "👍🏽", "❤\u{fe0f}", "☺", "🤷🏿\u{200d}♀\u{fe0f}", "𝒳", "𐍈", "𠜎", "🧿", "\u{20e3}", "1\u{fe0f}\u{20e3}",
  "\u{fffd}", "\u{e000}", "\u{fdd0}", "\u{f0000}", ".", "...", "!?", "—", "«»", "“”", "#", "@user",
  "http://x.y/z?a=1&b=2", "\\", "{}", "[]", "<>", "||", "==", "->", "$5", "€", "%", "°C",
  "x²", "∑", "≠", "…", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_end", "|>", "<repo_name>", "_a_b", "CamelCase",
  "aaaaaaaa", "zzxqj", "\u{301}", "\u{300}\u{300}", "a\u{323}\u{307}",
];

function mulberry32(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t ^ (t + Math.imul(t ^ (t >>> 7), t | 61))) >>> 0;
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  };
}

export function oddTexts(count = 10_000): string[] {
  const below = mulberry32(1);
  return Array.from({ length: count }, () => {
    // The number of pieces is drawn first, as Python's range() is.
    const length = 1 + below(24);
    return Array.from({ length }, () => pieces[below(pieces.length)]).join("");
  });
}
