/** Light or dark: the system's wish, or the reader's own. */
import { h } from "./dom.js";

type Theme = "light" | "dark";
const key = "rlrf-report-theme";

export function themeButton(): HTMLElement {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let theme: Theme = kept() ?? (system.matches ? "dark" : "light");
  const button = h("button", { type: "button", class: "theme" });
  const show = () => {
    document.documentElement.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to the ${theme === "dark" ? "light" : "dark"} theme`);
  };
  button.addEventListener("click", () => {
    theme = theme === "dark" ? "light" : "dark";
    keep(theme);
    show();
  });
  system.addEventListener("change", () => {
    if (kept() !== null) return;
    theme = system.matches ? "dark" : "light";
    show();
  });
  show();
  return button;
}

/** A sandboxed frame, such as MLflow's artifact view, has no storage. */
function kept(): Theme | null {
  try {
    const theme = localStorage.getItem(key);
    return theme === "light" || theme === "dark" ? theme : null;
  } catch {
    return null;
  }
}
function keep(theme: Theme): void {
  try {
    localStorage.setItem(key, theme);
  } catch {
    // kept for as long as the page is open
  }
}
