"""Check that every link within a built site leads somewhere; status 1 if one does not.

    python scripts/check_links.py [FOLDER]

Read are all HTML pages of the folder, by default docs/_build: each relative address of a link,
picture, style or script must be a file there, and what stands behind a # an id of that page.
Addresses of other sites are not asked for.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Collects the addresses that a page points to, and the ids that it can be pointed at."""

    def __init__(self):
        super().__init__()
        self.addresses, self.ids = set(), {"", "top"}  # browsers know these two themselves

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.addresses.update(found[name] for name in ("href", "src") if found.get(name))
        self.ids.update(found[name] for name in ("id", "name") if found.get(name))


def read(path):
    """Return what a page points to and can be pointed at, a `Page`."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def broken_links(site):
    """Return a sentence for each link that leads nowhere, a sorted list of str."""
    site = Path(site).resolve()
    pages = {path: read(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    broken = []
    for path, page in pages.items():
        for address in page.addresses:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                broken.append(f"{path.relative_to(site)}: {address} is no file")
            elif target in pages and unquote(parts.fragment) not in pages[target].ids:
                broken.append(f"{path.relative_to(site)}: {address} is no place on that page")
    return sorted(broken)


def main(folder="docs/_build"):
    """Print the broken links; return the exit status."""
    if not (Path(folder) / "index.html").is_file():
        print(f"{folder} holds no site: run sh scripts/site.sh first")
        return 2
    broken = broken_links(folder)
    print(*broken, f"{len(broken)} broken links", sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
