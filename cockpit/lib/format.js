/** Sizes, times and states as people read them. Pure. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
const MINUTE = 60, HOUR = 3600, DAY = 86400; // seconds

/**
 * @param {number} bytes
 * @returns {string}
 */
export function size(bytes) {
    let unit = 0, number = bytes;
    while (number >= 1024 && unit < UNITS.length - 1) {
        number /= 1024;
        unit += 1;
    }
    const digits = unit === 0 || number >= 99.95 ? 0 : 1;
    return `${number.toFixed(digits)} ${UNITS[unit]}`;
}

/**
 * How long ago, or in how long, roughly; a moment that is no date stays as it is.
 *
 * @param {string | null | undefined} moment - ISO 8601
 * @param {number} now - milliseconds since 1970
 * @returns {string}
 */
export function relative(moment, now) {
    if (!moment)
        return "–";
    const then = Date.parse(moment);
    if (Number.isNaN(then))
        return moment;
    const seconds = Math.round((now - then) / 1000);
    const text = span(Math.abs(seconds));
    if (text === "")
        return "now";
    return seconds < 0 ? `in ${text}` : `${text} ago`;
}

/**
 * @param {number} seconds
 * @returns {string}
 */
export function span(seconds) {
    if (seconds < MINUTE)
        return "";
    if (seconds < HOUR)
        return count(Math.floor(seconds / MINUTE), "minute");
    if (seconds < DAY)
        return count(Math.floor(seconds / HOUR), "hour");
    return count(Math.floor(seconds / DAY), "day");
}

/**
 * @param {number} number
 * @param {string} noun
 * @param {string} [plural]
 */
export function count(number, noun, plural = `${noun}s`) {
    return `${number} ${number === 1 ? noun : plural}`;
}

/**
 * A moment, to the minute, in UTC as the programs show it.
 *
 * @param {string | null | undefined} moment - ISO 8601
 */
export function minute(moment) {
    if (!moment)
        return "–";
    const then = new Date(moment);
    if (Number.isNaN(then.getTime()))
        return moment;
    return then.toISOString().slice(0, 16).replace("T", " ");
}

/**
 * Sizes as the programs take them: 512M, 2G, or bytes.
 *
 * @param {string} text
 * @returns {number} bytes, NaN if it is none
 */
export function parseSize(text) {
    const found = /^(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?$/i.exec(text.trim());
    if (!found)
        return NaN;
    const power = { "": 0, K: 1, M: 2, G: 3 }[(found[2] ?? "").toUpperCase()] ?? 0;
    return Math.round(Number(found[1]) * 1024 ** power);
}
