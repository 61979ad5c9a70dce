"""Embeds the sentences below with sentence-transformers and writes fixture.jsonl.

    python3 -m venv .venv && .venv/bin/pip install sentence-transformers
    bash examples/minilm/fetch.sh && .venv/bin/python examples/minilm/fixture.py

Each line is one object, {"sentence": ..., "embedding": [384 numbers]}: what
`cargo run --release --example minilm -- --json` prints. f32, normalised, truncated at 256 tokens.
`tests/minilm.rs` compares the Rust model with these numbers to 1e-5 in every component.
"""

import json
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

HERE = Path(__file__).parent

SENTENCES = [
    # Nothing, and next to nothing.
    "",
    " ",
    "a",
    "Z",
    "7",
    ".",
    "\n\t \r\n",
    # Plain sentences, some of them near each other in meaning.
    "The quick brown fox jumps over the lazy dog.",
    "A fast auburn fox leaped above a sleepy hound.",
    "Interest rates rose by a quarter of a percentage point.",
    "How do I reset my password?",
    "I forgot my login credentials, what should I do?",
    "The cat sat on the mat.",
    "She didn't say he'd won't've; it's O'Reilly's \"idea\" (sort of).",
    # Cases, accents, and what lower-casing and accent-stripping must handle.
    "ALL CAPITALS SHOUTING AT YOU",
    "Café naïve façade coöperate Ångström São Paulo",
    "İstanbul'da ıssız bir ada; Straße, ẞ, ﬁn, Ǆ",
    "e\u0301 and \u00e9 are the same letter, n\u0303 too",
    # Scripts.
    "今天天气很好，我们去公园散步吧。",
    "吾輩は猫である。名前はまだ無い。カタカナも。",
    "안녕하세요, 오늘 기분이 어떠세요?",
    "Привет, как дела? Сегодня хорошая погода.",
    "مرحبا بالعالم، كيف حالك اليوم؟",
    "שלום עולם",
    "नमस्ते दुनिया, आप कैसे हैं?",
    "สวัสดีชาวโลก",
    "Mixed скрипт text 混合 文字 with עברית and ไทย in one line",
    # Emoji, joiners, combining marks and characters outside the basic plane.
    "I love pizza 🍕🍕 and rockets 🚀!",
    "👩‍👩‍👧‍👦 👍🏽 🇨🇭 ❤️",
    "𝓕𝓪𝓷𝓬𝔂 𝕥𝕖𝕩𝕥 𐍈 𠜎",
    "Z̸̡͎̕a̴͇͗l̵̰̃g̷̬͒o̸͖͝ text",
    # Control, zero-width and replacement characters.
    "bell\u0007 null\u0000 escape\u001b[31m delete\u007f end",
    "zero\u200bwidth\u200djoiners\ufeff and\u00a0no-break\u2003spaces\u2028line",
    "\u0001\u0002\u0003",
    "replacement \ufffd private \ue000",
    "tabs\tand\nnew lines\r\nof all kinds\x0b\x0c",
    # Punctuation, markup, code, numbers, links.
    "!!! ??? ... --- *** ((())) [[]] {{}} <<>> ~`@#$%^&*_+=|\\/:;\"',",
    "<p class=\"x\">Hello &amp; welcome</p> <!-- no -->",
    "for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }",
    "3.14159265358979 1,000,000 1e-12 0x7f -42 ½ ² Ⅷ ٣",
    "https://example.com/path?query=1&other=two#fragment user@example.com",
    "[CLS] special [SEP] tokens [MASK] in [PAD] the [UNK] text",
    # Words too long for the vocabulary, and texts beyond 256 tokens.
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "x" * 99,
    "x" * 101 + " after a word of more than a hundred letters",
    " ".join(f"word{i}" if i % 7 == 0 else ["river", "stone", "light", "under", "seven"][i % 5] for i in range(300)),
    "The same sentence again and again. " * 60,
    "漢" * 400,
]


def main():
    model = SentenceTransformer(str(HERE / "model"), device="cpu")
    model.max_seq_length = 256
    torch.use_deterministic_algorithms(True)
    embeddings = model.encode(
        SENTENCES, batch_size=16, normalize_embeddings=True, convert_to_numpy=True, precision="float32"
    )
    with (HERE / "fixture.jsonl").open("w", encoding="utf-8") as file:
        for sentence, embedding in zip(SENTENCES, embeddings, strict=True):
            numbers = ",".join(f"{value:.8g}" for value in embedding.tolist())
            file.write(f'{{"sentence":{json.dumps(sentence)},"embedding":[{numbers}]}}\n')
    size = (HERE / "fixture.jsonl").stat().st_size
    print(f"{len(SENTENCES)} sentences, {size} bytes")


if __name__ == "__main__":
    main()
