// Before the page is drawn: the reader's choice of light or dark, so that nothing flashes.
"use strict";
try {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch { /* storage that is closed: the system's choice */ }
