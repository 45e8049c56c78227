// The page's rules: what finds mistakes, and what keeps other people's text from becoming HTML.
const globals = Object.fromEntries(
    ["cockpit", "console", "document", "window", "navigator", "localStorage", "performance", "setTimeout",
        "clearTimeout", "getSelection", "ResizeObserver", "TextEncoder", "Node", "HTMLElement", "HTMLInputElement",
        "Terminal", "FitAddon", "CanvasAddon"].map(name => [name, "readonly"]));

const html = ["innerHTML", "outerHTML", "insertAdjacentHTML", "write", "parseFromString", "setHTMLUnsafe"];

module.exports = [{
    files: ["**/*.js"],
    languageOptions: { ecmaVersion: 2023, sourceType: "module", globals },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
        "no-undef": "error", "no-unused-vars": "error", "no-var": "error", "prefer-const": "error",
        "eqeqeq": "error", "no-eval": "error", "no-implied-eval": "error", "no-new-func": "error",
        "no-shadow": "error", "no-use-before-define": ["error", { functions: false, classes: false, variables: false }],
        "no-unreachable": "error", "no-dupe-keys": "error", "no-fallthrough": "error", "no-redeclare": "error",
        "no-self-assign": "error", "no-unsafe-finally": "error", "no-const-assign": "error", "no-import-assign": "error",
        "semi": "error", "quotes": ["error", "double", { avoidEscape: true, allowTemplateLiterals: true }],
        "max-lines": ["error", 300], "complexity": ["error", 14],
        "no-restricted-properties": ["error", ...html.filter(name => name !== "write").map(property => ({ property }))],
        "no-restricted-syntax": ["error", {
            selector: "CallExpression[callee.object.name='document'][callee.property.name='write']",
            message: "Text must never become HTML.",
        }],
    },
}];
