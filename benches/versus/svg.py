"""The ratios as bars on a logarithmic axis: a line a row."""

from html import escape
from math import log2

LABELS, PLOT, LINE = 240, 520, 11  # widths in pixels, and the height of a bar
COLOURS = ["#4477aa", "#ee8866", "#44bb99", "#bbcc33"]
TICKS = [0.125, 0.25, 0.5, 1, 2, 4, 8]


def chart(report):
    """Of report.py's document: a bar for each number of threads."""
    entries = [entry for entry in report["rows"] if "ratio" in entry]
    threads = sorted({entry["threads"] for entry in entries})
    colours = dict(zip(threads, COLOURS * len(threads)))
    lines = {}
    for entry in entries:
        bars = lines.setdefault(entry["row"], [None] * len(threads))
        words = f"{entry['ratio']['median']:.2f} {entry['best']}"
        bars[threads.index(entry["threads"])] = colours[entry["threads"]], entry["ratio"], words
    legend = {f"{count} thread{'s' if count > 1 else ''}": colour for count, colour in colours.items()}
    return ratios(f"{report['cpu']}, {report['date']}", legend, lines)


def ratios(about, legend, lines):
    """`lines`: names with bars below each other, each None or a colour, a ratio's quartiles and words. `legend`:
    what a colour stands for."""
    slots = max(map(len, lines.values()), default=0)
    step = LINE * slots + 6
    height = 64 + step * len(lines) + 12
    title = f"The best peer's time / ours: right of 1.0 ours is faster. {about}"
    shapes = [background(height), *header(title, legend), *axis(height)]
    for at, (name, bars) in enumerate(lines.items()):
        y = 64 + at * step
        shapes.append(text(LABELS - 8, y + LINE * slots / 2, name, anchor="end"))
        for turn, each in enumerate(bars):
            if each:
                shapes += bar(y + turn * LINE, *each)
    size = f'width="{LABELS + PLOT + 150}" height="{height}"'
    style = 'font-family="sans-serif" font-size="11" fill="#222"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(shapes) + "\n</svg>\n"


def place(ratio):
    """From left to right; ratios beyond the axis stop at its end."""
    low, high = log2(TICKS[0]), log2(TICKS[-1])
    return LABELS + PLOT * (min(max(log2(ratio), low), high) - low) / (high - low)


def bar(y, colour, ratio, words):
    """From 1.0 to the ratio, with the quartiles as a thin line."""
    one, end = place(1), place(ratio["median"])
    low, high = place(ratio["low"]), place(ratio["high"])
    middle = y + LINE / 2 - 0.5
    beyond = max(one, end, high) + 5  # where nothing is drawn
    area = f'x="{min(one, end):.1f}" y="{y}" width="{abs(end - one):.1f}" height="{LINE - 1}"'
    return [
        f'<rect {area} fill="{colour}"/>',
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="#222"/>',
        text(beyond, y + LINE / 2, words, size=9),
    ]


def header(title, legend):
    shapes = [text(8, 14, title, size=13)]
    for at, (words, colour) in enumerate(legend.items()):
        x = LABELS + at * 100
        shapes.append(f'<rect x="{x}" y="26" width="10" height="10" fill="{colour}"/>')
        shapes.append(text(x + 15, 31, words))
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
