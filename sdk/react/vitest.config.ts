import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["tests/unit/**/*.test.{ts,tsx}"], setupFiles: ["tests/unit/react.ts"], restoreMocks: true, unstubGlobals: true } });
