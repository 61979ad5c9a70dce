"""The rounds: everyone in turn, row by row."""

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from . import inputs
from .contestant import Refused

LEFT_OUT = "left out: unknown, or its weights are not there (bash examples/minilm/fetch.sh)"


def run(rows, contestants, threads, rounds, say):
    """A record for each row: all times in seconds, the rates of the floors, and who failed and why."""
    with tempfile.TemporaryDirectory() as folder:
        for row in rows:
            say(f"{row.name}, {threads}")
            yield row, measure(row, contestants, threads, rounds, Path(folder) / "result", say)


def measure(row, contestants, threads, rounds, result, say):
    record = {"row": row.name, "group": row.group, "threads": threads, "times": {}, "failed": {}}
    entered = enter(row, contestants, result, record)
    for who, why in record["failed"].items():
        say(f"    {who}: {why}")
    if entered:
        machine, own, begin = busy_seconds(), own_seconds(contestants), time.monotonic()
        rates = {rate: [] for rate in floors_of(row)}
        for turn in range(-1, rounds):  # the first one warms up
            for rate, seen in rates.items():
                seen.append(float(entered[0].ask(floor_question(row, rate, threads))))
            # Nobody always follows the same one.
            shift = turn % len(entered)
            for contestant in entered[shift:] + entered[:shift]:
                take_turn(contestant, record, turn < 0, say)
        others = busy_seconds() - machine - (own_seconds(contestants) - own)
        record["others"] = max(others, 0) / (time.monotonic() - begin) / os.cpu_count()
        record["rates"] = {rate: sorted(seen[1:])[len(seen[1:]) // 2] for rate, seen in rates.items()}
    for contestant in contestants:
        try:
            contestant.ask("close")
        except Refused as why:
            say(f"    {contestant.name} does not close: {why}")
    return record


def enter(row, contestants, result, record):
    """Opens the row everywhere and compares results with ours; the ones that take part, ours first."""
    ours, *peers = contestants
    try:
        if ours.ask(f"open {row.name}") == "unknown":
            record["failed"]["ours"] = LEFT_OUT
            return []
        truth = output(ours, row, result)
    except Refused as why:
        record["failed"]["ours"] = str(why)
        return []
    entered = [ours]
    for peer in peers:
        try:
            if peer.ask(f"open {row.name}") == "unknown":
                continue
            apart = inputs.difference(output(peer, row, result), truth)
        except Refused as why:
            record["failed"][peer.name] = str(why)
            continue
        if apart <= row.tolerance:
            entered.append(peer)
        else:
            differs = f"differs from ours by {apart:.2g} of the largest value, allowed is {row.tolerance:.2g}"
            record["failed"][peer.name] = f"its result {differs}"
    if len(entered) == 1 and record["failed"]:
        record["failed"]["ours"] = "no peer has the same result"
        return []
    for contestant in entered:
        contestant.wait_until_idle()
    return entered


def output(contestant, row, file):
    contestant.ask(f"save {file}")
    return np.fromfile(file, np.int32 if row.multiply == "int8" else np.float32)


def take_turn(contestant, record, warm_up, say):
    if contestant.name in record["failed"]:
        return
    try:
        seconds = float(contestant.ask("time"))
    except Refused as why:
        record["failed"][contestant.name] = str(why)
        record["times"].pop(contestant.name, None)
        return
    if not contestant.wait_until_idle():
        say(f"    {contestant.name} does not come to rest")
    if not warm_up:
        record["times"].setdefault(contestant.name, []).append(seconds)


def busy_seconds():
    """What all processors did so far, for this machine and for others that share its hardware."""
    try:
        line = Path("/proc/stat").read_text().splitlines()[0]
    except OSError:
        return 0
    user, nice, system, _idle, _wait, interrupts, soft, stolen = map(int, line.split()[1:9])
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


def own_seconds(contestants):
    return time.process_time() + sum(contestant.cpu_seconds() for contestant in contestants)


def floors_of(row):
    rates = [row.multiply] if row.flops else []
    return rates + ([row.traffic] if row.read + row.write else [])


def floor_question(row, rate, threads):
    if rate in ("fma", "int8"):
        return f"floor {rate} {threads}"
    return f"floor {rate} {threads} {row.read + row.write}"
