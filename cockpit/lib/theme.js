/** Light or dark, as the console has it: its choice is kept where all its pages can read it. */

const KEY = "shell:style"; // auto, light or dark
const DARK = "pf-v6-theme-dark";

/** Follow the console's choice, and the system's where that is left to it. */
export function follow() {
    const system = window.matchMedia("(prefers-color-scheme: dark)");
    const apply = () => {
        const style = localStorage.getItem(KEY) ?? "auto";
        const dark = style === "dark" || (style === "auto" && system.matches);
        document.documentElement.classList.toggle(DARK, dark);
        document.documentElement.dataset["theme"] = dark ? "dark" : "light";
    };
    system.addEventListener("change", apply);
    window.addEventListener("storage", event => {
        if (event.key === KEY)
            apply();
    });
    window.addEventListener("cockpit-style", apply);
    apply();
}
