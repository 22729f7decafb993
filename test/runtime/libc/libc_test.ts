/** The contract, through the loader of the runtime that runs this file. */

import { libcContract } from "./contract.ts";
import { libcHere } from "./here.ts";

libcContract(await libcHere());
