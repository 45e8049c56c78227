/** Of the console's own library, which is loaded before the page, what the page uses. */

interface CockpitSpawnOptions {
    err?: "message" | "out" | "ignore";
    environ?: readonly string[];
    superuser?: "require" | "try";
    directory?: string;
}

interface CockpitFailure {
    problem?: string | null;
    message?: string | null;
    exit_status?: number | null;
}

interface CockpitProcess {
    stream(take: (data: string) => void): CockpitProcess;
    input(data: string, more?: boolean): CockpitProcess;
    then(done: (output: string) => void, failed: (failure: CockpitFailure) => void): unknown;
    close(problem?: string): void;
}

interface CockpitChannel {
    send(data: string): void;
    control(options: object): void;
    close(problem?: string): void;
    addEventListener(name: "message", take: (event: Event, data: string) => void): void;
    addEventListener(name: "close", take: (event: Event, options: CockpitFailure) => void): void;
}

interface CockpitPermission {
    allowed: boolean | null;
    addEventListener(name: "changed", take: () => void): void;
}

declare const cockpit: {
    hidden: boolean;
    location: { path: string[]; options: Record<string, string>; go(path: string[]): void };
    spawn(words: readonly string[], options: CockpitSpawnOptions): CockpitProcess;
    channel(options: object): CockpitChannel;
    permission(options: { admin: boolean }): CockpitPermission;
    user(): Promise<{ name: string; home: string; groups: string[] }>;
    jump(path: string): void;
    addEventListener(name: "visibilitychange" | "locationchanged", take: () => void): void;
};

/** Of xterm.js, which is loaded with the first terminal, what the page uses. */
declare class Terminal {
    constructor(options: object);
    readonly cols: number;
    readonly rows: number;
    open(element: HTMLElement): void;
    write(data: string): void;
    focus(): void;
    dispose(): void;
    loadAddon(addon: object): void;
    onData(take: (data: string) => void): void;
    onResize(take: (size: { cols: number; rows: number }) => void): void;
}
declare const FitAddon: { FitAddon: new () => { fit(): void } };
declare const CanvasAddon: { CanvasAddon: new () => object };
