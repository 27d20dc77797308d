// The palette that the reader chose, before anything is drawn; without a choice the system's
try {
  const chosen = localStorage.getItem("scheme");
  if (chosen) document.documentElement.dataset.scheme = chosen;
} catch {}
