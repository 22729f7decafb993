/** OpenSSL's names for the object identifiers in certificates. Pure: three tables.
 *  Programs compare these texts, so they must be exactly OpenSSL's. An identifier that is not
 *  listed is printed as dotted decimals, as OpenSSL prints one that it does not know. */

/** Attribute types of directory names, by OpenSSL's short name: parent identifier, then the last
 *  number and the name of each child. X.520, RFC 4524, PKCS #9, jurisdiction (CA/Browser Forum),
 *  RFC 3739, Microsoft, Russian tax and company numbers. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  "2.5.4": `
    3:CN 4:SN 5:serialNumber 6:C 7:L 8:ST 9:street 10:O 11:OU 12:title 13:description
    14:searchGuide 15:businessCategory 16:postalAddress 17:postalCode 18:postOfficeBox
    19:physicalDeliveryOfficeName 20:telephoneNumber 21:telexNumber
    22:teletexTerminalIdentifier 23:facsimileTelephoneNumber 24:x121Address
    25:internationaliSDNNumber 26:registeredAddress 27:destinationIndicator
    28:preferredDeliveryMethod 29:presentationAddress 30:supportedApplicationContext
    31:member 32:owner 33:roleOccupant 34:seeAlso 35:userPassword 36:userCertificate
    37:cACertificate 38:authorityRevocationList 39:certificateRevocationList
    40:crossCertificatePair 41:name 42:GN 43:initials 44:generationQualifier
    45:x500UniqueIdentifier 46:dnQualifier 47:enhancedSearchGuide 48:protocolInformation
    49:distinguishedName 50:uniqueMember 51:houseIdentifier 52:supportedAlgorithms
    53:deltaRevocationList 54:dmdName 65:pseudonym 72:role 97:organizationIdentifier 98:c3
    99:n3 100:dnsName`,
  "0.9.2342.19200300.100.1": `
    1:UID 2:textEncodedORAddress 3:mail 4:info 5:favouriteDrink 6:roomNumber 7:photo
    8:userClass 9:host 10:manager 11:documentIdentifier 12:documentTitle 13:documentVersion
    14:documentAuthor 15:documentLocation 20:homeTelephoneNumber 21:secretary
    22:otherMailbox 23:lastModifiedTime 24:lastModifiedBy 25:DC 26:aRecord
    27:pilotAttributeType27 28:mXRecord 29:nSRecord 30:sOARecord 31:cNAMERecord
    37:associatedDomain 38:associatedName 39:homePostalAddress 40:personalTitle
    41:mobileTelephoneNumber 42:pagerTelephoneNumber 43:friendlyCountryName 44:uid
    45:organizationalStatus 46:janetMailbox 47:mailPreferenceOption 48:buildingName
    49:dSAQuality 50:singleLevelQuality 51:subtreeMinimumQuality 52:subtreeMaximumQuality
    53:personalSignature 54:dITRedirect 55:audio 56:documentPublisher`,
  "1.2.840.113549.1.9": `
    1:emailAddress 2:unstructuredName 3:contentType 4:messageDigest 5:signingTime
    6:countersignature 7:challengePassword 8:unstructuredAddress
    9:extendedCertificateAttributes 14:extReq 15:SMIME-CAPS 16:SMIME 20:friendlyName
    21:localKeyID`,
  "1.2.643.100": "1:OGRN 3:SNILS 5:OGRNIP 111:subjectSignTool",
  "1.2.643.3.131.1": "1:INN",
  "1.3.6.1.4.1.311.17": "1:CSPName",
  "1.3.6.1.4.1.311.20.2": "3:msUPN",
  "1.3.6.1.4.1.311.60.2.1": "1:jurisdictionL 2:jurisdictionST 3:jurisdictionC",
  "1.3.6.1.5.5.7.9": `
    1:id-pda-dateOfBirth 2:id-pda-placeOfBirth 3:id-pda-gender 4:id-pda-countryOfCitizenship
    5:id-pda-countryOfResidence`,
};

/** Signature and public key algorithms, by OpenSSL's long name. */
const ALGORITHMS: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1": `
    1:rsaEncryption 2:md2WithRSAEncryption 4:md5WithRSAEncryption 5:sha1WithRSAEncryption
    7:rsaesOaep 10:rsassaPss 11:sha256WithRSAEncryption 12:sha384WithRSAEncryption
    13:sha512WithRSAEncryption 14:sha224WithRSAEncryption 15:sha512-224WithRSAEncryption
    16:sha512-256WithRSAEncryption`,
  "1.2.840.10045.2": "1:id-ecPublicKey",
  "1.2.840.10045.4": "1:ecdsa-with-SHA1",
  "1.2.840.10045.4.3": `
    1:ecdsa-with-SHA224 2:ecdsa-with-SHA256 3:ecdsa-with-SHA384 4:ecdsa-with-SHA512`,
  "1.3.101": "110:X25519 111:X448 112:ED25519 113:ED448",
  "1.2.840.10040.4": "1:dsaEncryption 3:dsaWithSHA1",
  "2.16.840.1.101.3.4.3": `
    1:dsa_with_SHA224 2:dsa_with_SHA256 3:dsa_with_SHA384 4:dsa_with_SHA512
    5:dsa_with_SHA3-224 6:dsa_with_SHA3-256 7:dsa_with_SHA3-384 8:dsa_with_SHA3-512
    9:ecdsa_with_SHA3-224 10:ecdsa_with_SHA3-256 11:ecdsa_with_SHA3-384
    12:ecdsa_with_SHA3-512 13:RSA-SHA3-224 14:RSA-SHA3-256 15:RSA-SHA3-384 16:RSA-SHA3-512
    17:ML-DSA-44 18:ML-DSA-65 19:ML-DSA-87`,
  "1.3.14.3.2": "27:dsaWithSHA1-old 29:sha1WithRSA",
  "1.2.840.113549.1.3": "1:dhKeyAgreement",
  "1.2.156.10197.1": "301:sm2 501:SM2-with-SM3",
};

/** Purposes of the extended key usage (RFC 5280 4.2.1.12), by OpenSSL's short name. */
const PURPOSES: Readonly<Record<string, string>> = {
  "1.3.6.1.5.5.7.3": `
    1:serverAuth 2:clientAuth 3:codeSigning 4:emailProtection 8:timeStamping 9:OCSPSigning`,
  "2.5.29.37": "0:anyExtendedKeyUsage",
};

/** Searches the text: to build maps of all names would cost every start more than they save. */
function nameIn(groups: Readonly<Record<string, string>>, oid: string): string | undefined {
  const dot = oid.lastIndexOf(".");
  const parent = oid.slice(0, dot);
  if (!Object.hasOwn(groups, parent)) return undefined;
  const children = ` ${groups[parent]}`;
  const head = ` ${oid.slice(dot + 1)}:`;
  const at = children.indexOf(head);
  return at < 0 ? undefined : /^\S+/.exec(children.slice(at + head.length))?.[0];
}

/** `CN`, `emailAddress`, …; the identifier itself when it has no name. */
export function attributeName(oid: string): string {
  return nameIn(ATTRIBUTES, oid) ?? oid;
}

/** `ecdsa-with-SHA256`, `id-ecPublicKey`, …; the identifier itself when it has no name. */
export function algorithmName(oid: string): string {
  return nameIn(ALGORITHMS, oid) ?? oid;
}

/** `serverAuth`, `clientAuth`, …; the identifier itself when it has no name. */
export function purposeName(oid: string): string {
  return nameIn(PURPOSES, oid) ?? oid;
}
