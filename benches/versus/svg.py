"""The ratios as bars: a line a row, a bar for each number of threads, on a logarithmic axis."""

from html import escape
from math import log2

LABELS, PLOT, LINE = 240, 520, 11  # widths in pixels, and the height of a bar
COLOURS = ["#4477aa", "#ee8866", "#44bb99", "#bbcc33"]
TICKS = [0.125, 0.25, 0.5, 1, 2, 4, 8]


def chart(report):
    entries = [entry for entry in report["rows"] if "ratio" in entry]
    threads = sorted({entry["threads"] for entry in entries})
    names = list(dict.fromkeys(entry["row"] for entry in entries))
    ratios = {(entry["row"], entry["threads"]): entry for entry in entries}
    bars = dict(zip(threads, COLOURS * len(threads)))
    step = LINE * len(threads) + 6
    height = 64 + step * len(names) + 12
    shapes = [background(height), *header(report, bars), *axis(height)]
    for at, name in enumerate(names):
        y = 64 + at * step
        shapes.append(text(LABELS - 8, y + LINE * len(threads) / 2, name, anchor="end"))
        for turn, count in enumerate(threads):
            if (name, count) in ratios:
                shapes += bar(y + turn * LINE, ratios[name, count], bars[count])
    size = f'width="{LABELS + PLOT + 150}" height="{height}"'
    style = 'font-family="sans-serif" font-size="11" fill="#222"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(shapes) + "\n</svg>\n"


def place(ratio):
    """From left to right; ratios beyond the axis stop at its end."""
    low, high = log2(TICKS[0]), log2(TICKS[-1])
    return LABELS + PLOT * (min(max(log2(ratio), low), high) - low) / (high - low)


def bar(y, entry, colour):
    """From 1.0 to the ratio, with the quartiles as a thin line."""
    ratio = entry["ratio"]
    one, end = place(1), place(ratio["median"])
    low, high = place(ratio["low"]), place(ratio["high"])
    middle = y + LINE / 2 - 0.5
    label = f"{ratio['median']:.2f} {entry['best']}"
    beyond = max(one, end, high) + 5  # where nothing is drawn
    area = f'x="{min(one, end):.1f}" y="{y}" width="{abs(end - one):.1f}" height="{LINE - 1}"'
    return [
        f'<rect {area} fill="{colour}"/>',
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="#222"/>',
        text(beyond, y + LINE / 2, label, size=9),
    ]


def header(report, bars):
    title = f"The best peer's time / ours: right of 1.0 ours is faster. {report['cpu']}, {report['date']}"
    shapes = [text(8, 14, title, size=13)]
    for at, (count, colour) in enumerate(bars.items()):
        x = LABELS + at * 100
        shapes.append(f'<rect x="{x}" y="26" width="10" height="10" fill="{colour}"/>')
        shapes.append(text(x + 15, 31, f"{count} thread{'s' if count > 1 else ''}"))
    return shapes


def axis(height):
    shapes = []
    for tick in TICKS:
        x = place(tick)
        stroke = 'stroke="#222" stroke-width="1.5"' if tick == 1 else 'stroke="#ddd"'
        shapes.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="58" y2="{height - 8}" {stroke}/>')
        shapes.append(text(x, 50, f"{tick:g}" if tick != 1 else "1.0", anchor="middle"))
    return shapes


def background(height):
    return f'<rect width="100%" height="{height}" fill="white"/>'


def text(x, y, words, anchor="start", size=11):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" dominant-baseline="middle" '
        f'font-size="{size}">{escape(words)}</text>'
    )
