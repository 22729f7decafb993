/** Types of the part of `fast-check` that the tests use. Its own need those of pure-rand. */

/** Generates values, and smaller ones from a value that fails. */
export interface Arbitrary<T> {
  map<U>(make: (value: T) => U): Arbitrary<U>;
  filter(accept: (value: T) => boolean): Arbitrary<T>;
  chain<U>(make: (value: T) => Arbitrary<U>): Arbitrary<U>;
}

interface Lengths {
  minLength?: number;
  maxLength?: number;
}

interface Limits {
  min?: number;
  max?: number;
}

interface Property {
  readonly brand: unique symbol;
}

declare const fc: {
  assert(
    property: Property,
    options: { numRuns: number; seed: number; includeErrorInReport: true },
  ): void;
  property<T>(values: Arbitrary<T>, check: (value: T) => void): Property;

  boolean(): Arbitrary<boolean>;
  nat(options: { max: number }): Arbitrary<number>;
  integer(options: Limits): Arbitrary<number>;
  uint8Array(options: Lengths & Limits): Arbitrary<Uint8Array<ArrayBuffer>>;
  constant<const T>(value: T): Arbitrary<T>;
  constantFrom<const T>(...values: readonly T[]): Arbitrary<T>;
  array<T>(values: Arbitrary<T>, options?: Lengths): Arbitrary<T[]>;
  tuple<T extends readonly unknown[]>(
    ...values: { [Index in keyof T]: Arbitrary<T[Index]> }
  ): Arbitrary<T>;
  record<T>(values: { [Name in keyof T]: Arbitrary<T[Name]> }): Arbitrary<T>;
  oneof<T extends readonly unknown[]>(
    ...values: {
      [Index in keyof T]: { arbitrary: Arbitrary<T[Index]>; weight: number } | Arbitrary<T[Index]>;
    }
  ): Arbitrary<T[number]>;
};
export default fc;
