// What torch asks of CUDA or of Apple's Metal in C++ before any kernel: that there is one device, one stream, and events
// that are over. With it a torch built without them makes tensors of a Python class whose device is "cuda", or "mps"
// where STAND_IN_KIND says so, and differentiates through them; stand_in_gpu.py computes what they hold. It must be
// loaded before torch asks for the first time.

#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/detail/MPSHooksInterface.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <cstdlib>
#include <cstring>

namespace {

bool wanted(const char* kind) {
  const char* said = std::getenv("STAND_IN_KIND");
  return std::strcmp(said ? said : "cuda", kind) == 0;
}

template <c10::DeviceType Type>
struct OneDevice final : c10::impl::NoOpDeviceGuardImpl<Type> {
  static c10::Device only() { return c10::Device(Type, 0); }
  static c10::Stream stream() { return c10::Stream(c10::Stream::DEFAULT, only()); }
  c10::Device exchangeDevice(c10::Device) const override { return only(); }
  c10::Device getDevice() const override { return only(); }
  c10::Stream getStream(c10::Device) const noexcept override { return stream(); }
  c10::Stream getNewStream(c10::Device, int) const override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return stream(); }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
};

c10::impl::DeviceGuardImplRegistrar cuda(c10::DeviceType::CUDA, new OneDevice<c10::DeviceType::CUDA>());
c10::impl::DeviceGuardImplRegistrar mps(c10::DeviceType::MPS, new OneDevice<c10::DeviceType::MPS>());

}  // namespace

struct CUDAHooks : at::CUDAHooksInterface {  // torch looks for this name
  explicit CUDAHooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return wanted("cuda"); }
  bool isBuilt() const override { return wanted("cuda"); }
  bool isAvailable() const override { return wanted("cuda"); }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  int getNumGPUs() const override { return 1; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  c10::DeviceIndex current_device() const override { return 0; }
  c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetAllocator(c10::DeviceType::CPU); }
};

struct MPSHooks : at::MPSHooksInterface {
  void init() const override {}
  bool hasMPS() const override { return wanted("mps"); }
  bool isBuilt() const override { return wanted("mps"); }
  bool isAvailable() const override { return wanted("mps"); }
  bool isOnMacOSorNewer(unsigned, unsigned) const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
};

using at::CUDAHooksRegistry;
using at::MPSHooksRegistry;
using at::RegistererCUDAHooksRegistry;
using at::RegistererMPSHooksRegistry;
REGISTER_CUDA_HOOKS(CUDAHooks)
REGISTER_MPS_HOOKS(MPSHooks)
