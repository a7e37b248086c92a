"""What a container wrote: by lines, with an end, and no more than it may cost."""

import asyncio
import os

import pytest

from kttun.sandbox.journal import LARGEST, LONGEST_LINE, Journal


async def written(*pieces):
    journal = Journal()
    for piece in pieces:
        os.write(journal.writer, piece)
        await asyncio.sleep(0)
    os.close(journal.writer)
    await journal.end()
    return journal


def texts(*pieces):
    async def read():
        return [line async for line in (await written(*pieces)).read()]

    return asyncio.run(read())


@pytest.mark.parametrize("pieces", [(b"one\ntwo\nrest",), (b"on", b"e\ntwo", b"\nrest")])
def test_lines_are_whole_however_they_were_written(pieces):
    assert texts(*pieces) == [b"one\n", b"two\n", b"rest"]


def test_a_follower_hears_the_last_that_was_and_what_comes_until_the_end():
    async def follow():
        journal = Journal()
        os.write(journal.writer, b"old\nolder\n")
        for _ in range(3):  # turns of the loop, which reads meanwhile
            await asyncio.sleep(0)
        heard = asyncio.create_task(collect(journal))
        await asyncio.sleep(0)
        os.write(journal.writer, b"new\n")
        os.close(journal.writer)
        return await heard

    async def collect(journal):
        return [line async for line in journal.read(follow=True, tail=1)]

    assert asyncio.run(follow()) == [b"older\n", b"new\n"]


def test_the_oldest_lines_go_when_there_are_too_many():
    line = b"x" * 1023 + b"\n"
    assert texts(*[line * 32] * 40) == [line] * (LARGEST // 1024)


def test_a_line_without_end_is_cut_and_not_waited_for():
    async def first():
        journal = Journal()
        os.write(journal.writer, b"y" * (LONGEST_LINE + 1))
        line = await anext(journal.read(follow=True))
        os.close(journal.writer)
        await journal.end()
        return line

    assert asyncio.run(first()) == b"y" * (LONGEST_LINE + 1)
