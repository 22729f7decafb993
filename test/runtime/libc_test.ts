/** The contract, through the loader of the runtime that runs this file. */

import { libcContract } from "./libc_contract.ts";
import { libcHere } from "./libc_here.ts";

libcContract(await libcHere());
