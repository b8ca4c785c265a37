"""What a kilowatt hour emits: grams of CO2 equivalents by country and by region, with the source of each number.

In: a country (ISO 3166 alpha-3) and perhaps a region of it (ISO 3166-2). Out: the factor and where it is from. They
are CodeCarbon's packaged tables (version 3.3, MIT licence), copied so that a plan needs no library: averages over a
year of what is generated in a place. A contract for other electricity, an hour or a season may be far away from them;
who knows better sets hardware.grid_gco2e_per_kwh.
"""

from __future__ import annotations

import difflib

from lhama.plan.problem import Problem


def _table(text: str) -> dict[str, float]:
    """Read pairs such as BRA=98.3."""
    pairs = (pair.split("=") for pair in text.split())
    return {code: float(grams) for code, grams in pairs}


# global_energy_mix.json: carbon intensity of generation by Our World in Data, by year; the world average is the IEA's.
COUNTRIES = {
    2023: _table(
        """
ARG=354.1 AUS=548.7 AUT=110.8 BEL=138.1 BGD=691.4 BGR=335.3 BIH=600 BOL=531.7 BRA=98.3 CAN=170 CHE=34.8 CHL=291.1
CHN=582.3 COL=259.5 CRI=53.4 CYP=534.3 CZE=449.7 DEU=381 DNK=151.7 ECU=150.2 EGY=570.3 ESP=174.1 EST=416.7 FIN=79.2
FRA=56 GBR=237.6 GEO=167.6 GRC=336.6 HRV=205 HUN=204.2 IND=713.4 IRL=290.8 IRN=655.1 ITA=330.7 JPN=485.4 KAZ=821.4
KEN=70.5 KOR=430.6 KWT=649.2 LTU=160.1 LUX=105.3 LVA=123.2 MAR=630 MDA=643.5 MEX=507.2 MKD=565.3 MLT=459.1 MMR=398.9
MNE=417.1 MNG=775.3 NGA=523.2 NLD=267.6 NOR=30.1 NZL=112.8 OMN=564.6 PAK=440.6 PER=266.5 PHL=610.7 POL=661.9 PRT=165.6
PRY=23.8 QAT=602.5 ROU=240.6 RUS=441 SGP=470.8 SLV=271.5 SRB=636.1 SVK=116.8 SVN=231.3 SWE=40.7 THA=549.6 TUN=564
TUR=464.6 TWN=642.4 URY=128.8 USA=369.5 VNM=475.4 ZAF=707.7
"""
    ),
    2022: _table(
        """
ABW=561.2 AFG=132.5 AGO=174.7 ALB=24.3 ARE=561.1 ARM=264.5 ASM=611.1 ATG=611.1 AZE=671.4 BDI=250 BEN=584.1 BFA=467.5
BHR=904.6 BHS=660.1 BLR=441.7 BLZ=225.8 BMU=650.8 BRB=605.5 BRN=893.9 BTN=23.3 BWA=847.9 CAF=0 CIV=393.9 CMR=305.4
COD=24.5 COG=700 COK=250 COM=642.9 CPV=558.1 CUB=637.6 CYM=642.9 DJI=692.3 DMA=529.4 DOM=580.8 DZA=634.6 ERI=631.6
ETH=24.6 FJI=288.5 FLK=500 FRO=404.8 GAB=491.6 GHA=484 GIB=600 GIN=236.8 GMB=666.7 GNB=625 GNQ=591.8 GRD=640 GRL=178.6
GTM=328.3 GUM=622.9 GUY=640.4 HKG=699.5 HND=282.3 HTI=567.3 IDN=675.9 IRQ=688.8 ISL=27.7 ISR=582.9 JAM=555.6 JOR=540.9
KGZ=147.3 KHM=417.7 KIR=666.7 KNA=636.4 LAO=265.5 LBN=599 LBR=227.8 LBY=818.7 LCA=666.7 LKA=509.8 LSO=20 MAC=449
MDG=436.4 MDV=611.8 MLI=408 MOZ=135.6 MRT=464.7 MSR=1000 MUS=632.5 MWI=66.7 MYS=605.8 NAM=59.3 NCL=660.6 NER=670.9
NIC=265.1 NPL=24.4 NRU=750 PAN=161.7 PNG=507.2 PRI=678.7 PRK=389.6 PSE=516.1 PYF=442.9 RWA=316.3 SAU=706.8 SDN=263.2
SEN=511.6 SHN=1000 SLB=700 SLE=50 SOM=578.9 SPM=600 SSD=629 STP=642.9 SUR=349.3 SWZ=172.4 SYC=564.5 SYR=701.7
TCA=653.8 TCD=628.6 TGO=443.2 TJK=116.9 TKM=1306 TLS=666.7 TON=625 TTO=681.5 TZA=339.2 UGA=44.5 UKR=259.7 UZB=1167.6
VCT=529.4 VEN=185.8 VGB=647.1 VIR=632.4 VUT=571.4 WSM=473.7 YEM=566.1 ZMB=112 ZWE=297.9
"""
    ),
}
WORLD_GCO2E_PER_KWH = 475.0

# United States: the EPA's eGRID 2023, total output rate of CO2 equivalents, from pounds a MWh. Canada: the shares of
# each source in canada_energy_mix.json (2023) times carbon_intensity_per_source.json. China: the ministry of ecology's
# announcement 47 of 2025 for 2023, CO2 only.
REGIONS = _table(
    """
US-AL=323.9 US-AK=369.4 US-AZ=312.6 US-AR=452.9 US-CA=179.1 US-CO=494.9 US-CT=245.2 US-DE=319.4 US-DC=179.2
US-FL=357.9 US-GA=325.4 US-HI=632.6 US-ID=142.4 US-IL=215.2 US-IN=664.7 US-IA=287.6 US-KS=332.6 US-KY=792.4
US-LA=346.1 US-ME=143.7 US-MD=236.9 US-MA=376.5 US-MI=361.7 US-MN=341.3 US-MS=375.7 US-MO=659.8 US-MT=482.6
US-NE=465.3 US-NV=292 US-NH=125.3 US-NJ=213.3 US-NM=350.9 US-NY=211.7 US-NC=284.1 US-ND=588.7 US-OH=484.6 US-OK=294.3
US-OR=165.5 US-PA=293.9 US-RI=381 US-SC=254.2 US-SD=152.2 US-TN=299.9 US-TX=349.8 US-UT=644.7 US-VT=23.7 US-VA=244.8
US-WA=120.9 US-WV=893.1 US-WI=527.8 US-WY=831.6
CA-AB=636.6 CA-BC=60.7 CA-MB=31.5 CA-NB=268.7 CA-NL=30.6 CA-NS=593 CA-NT=161.5 CA-NU=814.5 CA-ON=93.1 CA-PE=44.6
CA-QC=31.2 CA-SK=662.5 CA-YT=290.1
CN-BJ=555.4 CN-TJ=679.6 CN-HE=651.6 CN-SX=663.4 CN-NM=647.9 CN-LN=487.8 CN-JL=467.1 CN-HL=522.9 CN-SH=573.7
CN-JS=582.7 CN-ZJ=497.4 CN-AH=655.3 CN-FJ=421.1 CN-JX=583.6 CN-SD=619.1 CN-HA=589.7 CN-HB=404.4 CN-HN=497.6
CN-GD=441.9 CN-GX=447.6 CN-HI=364.8 CN-CQ=558.1 CN-SC=156.4 CN-GZ=568.3 CN-YN=133.3 CN-SN=633.5 CN-GS=447.1
CN-QH=179.6 CN-NX=618.7 CN-XJ=602.1
"""
)
SOURCES = {
    "USA": ("US", "EPA eGRID"),
    "CAN": ("CA", "the province's sources of electricity"),
    "CHN": ("CN", "China's ministry of ecology, CO2 only"),
}


def check_region(country: str, region: str | None) -> None:
    """Refuse a region that no table has, or that lies in another country."""
    if region is None or (region in REGIONS and SOURCES.get(country, ("", ""))[0] == region[:2]):
        return
    inside = [one for one in REGIONS if one[:2] == SOURCES.get(country, ("", ""))[0]]
    near = difflib.get_close_matches(region.upper(), inside, n=1)
    known = f"known in {country}: {inside[0]} ... {inside[-1]}" if inside else "known are those of USA, CAN and CHN"
    raise Problem(
        f"{region!r} is no region of {country} that the plan knows",
        key="hardware.region",
        remedy=(f"did you mean {near[0]}? " if near else "")
        + f"{known}; or set hardware.grid_gco2e_per_kwh to the factor of your supplier",
    )


def grid_factor(country: str, region: str | None = None) -> tuple[float, str]:
    """Return the grams of CO2 equivalents per kilowatt hour of a place, and where the number is from.

    A country in no table counts as the world's average, and the source says so.
    """
    if region is not None and region in REGIONS:
        return REGIONS[region], f"average of {region} in 2023, {SOURCES[country][1]}, by CodeCarbon's table"
    for year, table in COUNTRIES.items():
        if country in table:
            return table[country], f"average of {country} in {year}, CodeCarbon's table"
    return WORLD_GCO2E_PER_KWH, f"world average, as {country} is not in the plan's table"
