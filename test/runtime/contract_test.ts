/** The contract of the runtime that runs this file. */

import { contract } from "./contract.ts";
import { thisRuntime } from "./kits.ts";

contract(await thisRuntime());
