"""One run as one self-contained page, for `perdure show ID --html` and whoever wants to keep one."""

from perdure.diagnostics.web.alone import run_page

__all__ = ["run_page"]
