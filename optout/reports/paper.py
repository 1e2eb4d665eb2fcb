"""A4 sheets for reports and access requests, with what every Python installation has.

Where the system has DejaVu Sans it is used, so that every letter can be shown; elsewhere the PDF's
own fonts are, and what they lack becomes `?`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import WrapMode, XPos, YPos
from fpdf.util import Padding

_FONTS = (
    Path("/usr/share/fonts/truetype/dejavu"), Path("/usr/share/fonts/dejavu-sans-fonts"),
    Path("/usr/share/fonts/TTF"), Path("/Library/Fonts"), Path("C:/Windows/Fonts"),
)  # fmt: skip
_INK, _MUTED, _LINE, _PANEL = (27, 31, 36), (87, 96, 106), (208, 215, 222), (245, 247, 249)
COLOURS = {
    "met": ((20, 108, 46), (220, 243, 225)), "complete": ((20, 108, 46), (220, 243, 225)),
    "missed": ((176, 32, 26), (253, 229, 227)), "incomplete": ((176, 32, 26), (253, 229, 227)),
    "unknown": ((89, 98, 108), (233, 236, 239)),
}  # fmt: skip
"""Status → text and ground."""
_PLAIN = str.maketrans({"–": "-", "—": "-", "…": "...", "’": "'", "“": '"', "”": '"', "·": "-"})
_MARGIN, _FOOT = 14.0, 18.0
_PAD = 1.6
_SECTION, _KEEP_SECTION, _KEEP_TABLE = 12, 48, 30
"""From which size a heading is a section's; room that each kind needs below it."""
_LEAST = 11.0


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    is_number: bool = False
    status: str | None = None
    """A key of COLOURS."""
    is_key: bool = False


class Paper(FPDF):
    """A4 with a running title and page numbers."""

    def __init__(self, running: str, made_at: str, *, landscape: bool = False) -> None:
        super().__init__(orientation="landscape" if landscape else "portrait", format="A4")
        self._running = running
        self._made_at = made_at
        self.set_margins(_MARGIN, _MARGIN, _MARGIN)
        self.set_auto_page_break(True, _FOOT)
        folder = _fonts()
        self.family = "DejaVu" if folder else "Helvetica"
        self._is_unicode = folder is not None
        if folder:
            self.add_font("DejaVu", "", folder / "DejaVuSans.ttf")
            self.add_font("DejaVu", "B", folder / "DejaVuSans-Bold.ttf")
        self.alias_nb_pages()
        self.set_title(running)
        self.set_creator("optout")
        self.set_lang("en")
        self.add_page()

    def footer(self) -> None:
        """The running title and the page number."""
        self.set_y(-12)
        self._font(7, colour=_MUTED)
        self.cell(0, 4, self.plain(f"{self._running}, made {self._made_at}"))
        self.set_x(_MARGIN)
        self.cell(0, 4, f"{self.page_no()} / {{nb}}", align="R")

    def plain(self, text: str) -> str:
        """The text as the font can show it."""
        if self._is_unicode:
            return text
        return text.translate(_PLAIN).encode("latin-1", "replace").decode("latin-1")

    def heading(self, text: str, size: float) -> None:
        """A heading that does not stand alone at the end of a page."""
        if self.get_y() > self.h - _FOOT - (_KEEP_SECTION if size >= _SECTION else _KEEP_TABLE):
            self.add_page()
        self.ln(size / 5)
        self._font(size, "B")
        self._text(text, size * 0.45)
        self.ln(1)

    def note(self, text: str, *, muted: bool = True, size: float = 8.5) -> None:
        """A paragraph."""
        self._font(size, colour=_MUTED if muted else _INK)
        self._text(text, size * 0.5)
        self.ln(0.8)

    def band(self, title: str, text: str, status: str) -> None:
        """The verdict."""
        ink, ground = COLOURS[status]
        self.set_fill_color(*ground)
        self._font(10, "B", ink)
        self.cell(0, 7, self.plain(f"  {title}"), fill=True, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self._font(9)
        self.cell(0, 6, self.plain(f"  {text}"), fill=True, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(2)

    def grid(self, head: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> None:
        """A table whose head is repeated on every page."""
        size = 7.0 if len(head) <= 9 else 6.2
        widths = self._widths(head, rows, size)
        self._head(head, widths, size)
        for row in rows:
            height = self._height(row, widths, size)
            if self.get_y() + height > self.h - _FOOT:
                self.add_page()
                self._head(head, widths, size)
            self._row(row, widths, size, height)
        self.ln(2)

    def _widths(
        self, head: Sequence[Cell], rows: Sequence[Sequence[Cell]], size: float
    ) -> list[float]:
        """By the longest of the first rows' texts, squeezed to the page."""
        wanted = []
        for place, cell in enumerate(head):
            self._font(size, "B")
            longest_word = max(cell.text.split(" "), key=len)
            most = max(self.get_string_width(self.plain(longest_word)), 0)
            self._font(size)
            for row in rows[:80]:
                text = row[place].text
                scale = 0.82 if row[place].is_key else 1.0
                most = max(most, self.get_string_width(self.plain(text)) * scale)
            wanted.append(most + 2 * _PAD + 0.4)
        keys = {n for n, cell in enumerate(rows[0]) if cell.is_key} if rows else set()
        return self._squeeze(wanted, keys)

    def _squeeze(self, wanted: list[float], keys: set[int]) -> list[float]:
        """The widest columns give way first, but keys, which have to be copied, last."""
        room = self.epw
        total = sum(wanted)
        if total <= room:
            return [w + (room - total) * w / total * 0.35 for w in wanted]
        limit = room

        def widths() -> list[float]:
            return [w if n in keys else min(w, limit) for n, w in enumerate(wanted)]

        while sum(widths()) > room and limit > _LEAST:
            limit -= 0.5
        scale = min(1.0, room / sum(widths()))
        return [w * scale for w in widths()]

    def _head(self, head: Sequence[Cell], widths: Sequence[float], size: float) -> None:
        height = self._height(head, widths, size, bold=True)
        top = self.get_y()
        self._cells(head, widths, size, height, bold=True)
        self.set_draw_color(*_INK)
        self.line(_MARGIN, top + height, _MARGIN + sum(widths), top + height)
        self.set_xy(_MARGIN, top + height)

    def _row(
        self, row: Sequence[Cell], widths: Sequence[float], size: float, height: float
    ) -> None:
        top = self.get_y()
        self._cells(row, widths, size, height)
        self.set_draw_color(*_LINE)
        self.line(_MARGIN, top + height, _MARGIN + sum(widths), top + height)
        self.set_xy(_MARGIN, top + height)

    def _cells(
        self, row: Sequence[Cell], widths: Sequence[float], size: float, height: float,
        *, bold: bool = False,
    ) -> None:  # fmt: skip
        top, left = self.get_y(), _MARGIN
        for cell, width in zip(row, widths, strict=True):
            ink, ground = COLOURS.get(cell.status or "", (_MUTED if bold else _INK, None))
            if ground:
                self.set_fill_color(*ground)
                self.rect(left, top + 0.4, width - 0.6, height - 0.8, style="F")
            self._font(size * (0.78 if cell.is_key else 1), "B" if bold else "", ink)
            self.set_xy(left, top + 0.7)
            self.multi_cell(
                width,
                size * 0.46,
                self.plain(cell.text),
                align="R" if cell.is_number else "L",
                padding=_padding(cell),
                wrapmode=_wrap(cell),
            )
            left += width
        self.set_xy(_MARGIN, top)

    def _height(
        self, row: Sequence[Cell], widths: Sequence[float], size: float, *, bold: bool = False
    ) -> float:
        most = 1
        for cell, width in zip(row, widths, strict=True):
            self._font(size * (0.78 if cell.is_key else 1), "B" if bold else "")
            lines = self.multi_cell(
                width,
                size * 0.46,
                self.plain(cell.text),
                dry_run=True,
                output="LINES",
                padding=_padding(cell),
                wrapmode=_wrap(cell),
            )
            most = max(most, len(lines) if isinstance(lines, list) else 1)
        return most * size * 0.46 + 1.6

    def _font(self, size: float, style: str = "", colour: tuple[int, int, int] = _INK) -> None:
        self.set_font(self.family, style, size)
        self.set_text_color(*colour)

    def _text(self, text: str, height: float) -> None:
        self.multi_cell(0, height, self.plain(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _padding(cell: Cell) -> Padding:
    return Padding(0, _PAD, 0, _PAD if cell.is_number or cell.status in COLOURS else 0)


def _wrap(cell: Cell) -> WrapMode:
    return WrapMode.CHAR if cell.is_key else WrapMode.WORD


@cache
def _fonts() -> Path | None:
    for folder in _FONTS:
        if all((folder / f"DejaVuSans{kind}.ttf").exists() for kind in ("", "-Bold")):
            return folder
    return None
