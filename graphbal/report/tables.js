// Tables: a click on a header sorts, the search field filters, the link saves the rows as CSV.
"use strict";
(() => {
  const value = (cell) => cell.dataset.v ?? cell.textContent.trim();
  const collator = new Intl.Collator("en", { numeric: true });

  const compare = (a, b, numeric) => {
    if (!numeric) return collator.compare(a, b);
    if (a === "" || b === "") return (a === "") - (b === "");
    return Number(a) - Number(b);
  };

  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  for (const data of document.querySelectorAll(".data")) {
    const table = data.querySelector("table");
    const body = table.tBodies[0];
    const headers = [...table.tHead.rows[0].cells];
    const rows = [...body.rows];
    const search = data.querySelector("input");
    const shown = data.querySelector("output");
    const link = data.querySelector("a[download]");

    headers.forEach((header, column) => {
      const numeric = header.classList.contains("number");
      header.querySelector("button").addEventListener("click", () => {
        const before = header.getAttribute("aria-sort");
        const first = numeric ? "descending" : "ascending";
        const other = numeric ? "ascending" : "descending";
        const order = before === first ? other : first;
        for (const each of headers) each.removeAttribute("aria-sort");
        header.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        rows.sort((a, b) => {
          const [x, y] = [value(a.cells[column]), value(b.cells[column])];
          // What has no value stays last, whichever way.
          if (numeric && (x === "" || y === "")) return compare(x, y, true);
          return sign * compare(x, y, numeric);
        });
        body.append(...rows);
      });
    });

    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let n = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        n += !row.hidden;
      }
      shown.textContent = n === rows.length ? `${n} rows` : `${n} of ${rows.length} rows`;
    };
    search.addEventListener("input", filter);
    filter();

    let made;
    link.addEventListener("click", () => {
      const lines = [headers.map((header) => header.dataset.name)];
      for (const row of rows) if (!row.hidden) lines.push([...row.cells].map(value));
      const text = lines.map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
      if (made) URL.revokeObjectURL(made);
      made = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
      link.href = made;
    });
  }
})();
